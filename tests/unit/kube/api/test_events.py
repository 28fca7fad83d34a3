"""Events in both groups: the same ones under two sets of names, and what the newer group asks more."""

from __future__ import annotations

import pytest

CORE = "/api/v1/namespaces/default/events"
NEWER = "/apis/events.k8s.io/v1/namespaces/default/events"
EVENT = {
    "metadata": {"name": "e", "labels": {"a": "b"}},
    "regarding": {"namespace": "default", "kind": "Pod", "name": "web"},
    "eventTime": "2017-09-19T13:49:16.000000Z",
    "note": "This is it",
    "action": "Do",
    "reason": "Test",
    "type": "Normal",
    "reportingController": "test/controller",
    "reportingInstance": "node-1",
}


def test_what_is_written_in_one_group_is_read_in_the_other(play):
    async def scene(api):
        made = await api.ask("POST", NEWER, EVENT)
        core = await api.get(f"{CORE}/e")
        await api.ask(
            "POST", CORE, {"metadata": {"name": "old"}, "involvedObject": {"namespace": "default"}, "count": 3}
        )
        newer = await api.get(f"{NEWER}/old")
        return made.doc, core.doc, newer.doc

    made, core, newer = play(scene)
    assert {name: made[name] for name in EVENT if name != "metadata"}.items() <= made.items()
    assert made["apiVersion"] == "events.k8s.io/v1"
    assert (core["apiVersion"], core["message"], core["reportingComponent"]) == ("v1", "This is it", "test/controller")
    assert core["involvedObject"] == EVENT["regarding"]
    assert core["lastTimestamp"] is None
    assert newer["deprecatedCount"] == 3


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"{CORE}?fieldSelector=source=test/controller", ["e"]),
        (f"{CORE}?fieldSelector=involvedObject.name=db", []),
        (f"{NEWER}?fieldSelector=reportingController=test/controller,regarding.name=web", ["e"]),
        (f"{NEWER}?fieldSelector=regarding.kind!=Pod", []),
    ],
)
def test_fields_are_selected_by_the_groups_own_names(play, target, expected):
    async def scene(api):
        await api.ask("POST", NEWER, EVENT)
        return [item["metadata"]["name"] for item in (await api.get(target)).doc["items"]]

    assert play(scene) == expected


@pytest.mark.parametrize(
    ("target", "change", "said"),
    [
        (NEWER, {"eventTime": None}, "eventTime: Required value"),
        (NEWER, {"type": "Odd"}, 'type: Invalid value: "": has invalid value: Odd'),
        (NEWER, {"deprecatedCount": 1}, 'count: Invalid value: "": needs to be unset'),
        (NEWER, {"series": {"count": 1}}, 'series.count: Invalid value: "": should be at least 2'),
        (NEWER, {"reportingController": ""}, "reportingComponent: Required value"),
        (NEWER, {"action": "x" * 129}, 'action: Invalid value: "": can have at most 128 characters'),
        (NEWER, {"note": "x" * 1025}, 'message: Invalid value: "": can have at most 1024 characters'),
        (CORE, {}, 'involvedObject.namespace: Invalid value: "": does not match event.namespace'),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_refused(play, target, change, said):
    async def scene(api):
        await api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        body = {**EVENT, **change} if target == NEWER else {"metadata": {"name": "e"}}
        return await api.ask("POST", target if target == NEWER else "/api/v1/namespaces/other/events", body)

    answer = play(scene)
    assert answer.status == 422
    assert said in answer.doc["message"]


def test_only_a_series_may_change_through_the_newer_group(play):
    async def scene(api):
        await api.ask("POST", NEWER, EVENT)
        series = {"count": 2, "lastObservedTime": "2017-09-19T13:50:16.000000Z"}
        refused = await api.ask("PATCH", f"{NEWER}/e", {"note": "other"})
        counted = await api.ask("PATCH", f"{NEWER}/e", {"series": series})
        corrected = await api.ask("PATCH", f"{CORE}/e", {"message": "other"})
        return refused.said, counted.doc["series"] == series, corrected.doc["message"]

    refused, counted, corrected = play(scene)
    assert refused == (422, "Invalid", 'Event "e" is invalid: message: Invalid value: "other": field is immutable')
    assert counted
    assert corrected == "other"


def test_a_watch_and_a_deletion_of_many_in_the_newer_group(play):
    async def scene(api):
        await api.ask("POST", NEWER, EVENT)
        watch = await api.watch(f"{NEWER}?watch=true")
        first = await watch.next()
        await api.ask("DELETE", f"{NEWER}?labelSelector=a=b")
        gone = await watch.next()
        await watch.close()
        return first, gone

    first, gone = play(scene)
    assert (first["type"], gone["type"]) == ("ADDED", "DELETED")
    assert first["object"]["note"] == gone["object"]["note"] == "This is it"
