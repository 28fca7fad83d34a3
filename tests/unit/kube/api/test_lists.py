"""Lists: selectors, forms, pages and revisions."""

from __future__ import annotations

import pytest

from unit.kube.api.conftest import TABLE

MAPS = "/api/v1/namespaces/default/configmaps"


def names(answer):
    return [item["metadata"]["name"] for item in answer.doc["items"]]


async def four(api):
    for number, tier in enumerate(("front", "front", "back", "back")):
        await api.config_map(f"c{number}", {"tier": tier})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "c0 c1 c2 c3"),
        ("labelSelector=tier%3Dback", "c2 c3"),
        ("labelSelector=tier+notin+(back)", "c0 c1"),
        ("fieldSelector=metadata.name!%3Dc1", "c0 c2 c3"),
        ("fieldSelector=metadata.namespace%3Dother", ""),
        ("labelSelector=tier%3Dback&fieldSelector=metadata.name%3Dc2", "c2"),
        ("resourceVersion=0", "c0 c1 c2 c3"),
        ("resourceVersion=1&resourceVersionMatch=NotOlderThan", "c0 c1 c2 c3"),
        ("resourceVersion=3&resourceVersionMatch=Exact", "c0 c1"),
    ],
)
def test_which(play, query, expected):
    async def scene(api):
        await four(api)
        return await api.get(f"{MAPS}?{query}")

    assert " ".join(names(play(scene))) == expected


def test_pages_are_of_one_revision_whatever_happens_between(play):
    async def scene(api):
        await four(api)
        await api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        await api.ask("POST", "/api/v1/namespaces/other/configmaps", {"metadata": {"name": "c5"}})
        first = (await api.get(MAPS + "?limit=2")).doc
        await api.ask("DELETE", "/api/v1/namespaces/other/configmaps/c5")
        await api.ask("DELETE", MAPS + "/c0")
        await api.ask("DELETE", MAPS + "/c2")
        await api.config_map("c9")
        await api.ask("PATCH", MAPS + "/c3", {"data": {"new": "1"}})
        await api.ask("PATCH", MAPS + "/c3", {"data": {"new": "2"}})
        second = await api.get(f"{MAPS}?limit=9&continue={first['metadata']['continue']}")
        return first, second.doc

    first, second = play(scene)
    assert [i["metadata"]["name"] for i in (*first["items"], *second["items"])] == ["c0", "c1", "c2", "c3"]
    assert "data" not in second["items"][1]
    assert first["metadata"]["remainingItemCount"] == 2
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}


def test_pages_with_a_selector_do_not_count_the_rest(play):
    async def scene(api):
        await four(api)
        first = (await api.get(MAPS + "?limit=1&labelSelector=tier%3Dback")).doc
        url = f"{MAPS}?limit=1&labelSelector=tier%3Dback&continue={first['metadata']['continue']}"
        return first, (await api.get(url)).doc

    first, second = play(scene)
    assert "remainingItemCount" not in first["metadata"]
    assert (second["items"][0]["metadata"]["name"], second["metadata"].get("continue")) == ("c3", None)


@pytest.mark.parametrize(
    ("history", "wait_s"), [(3, 0), (1000, 301)], ids=["the changes are forgotten", "it was begun long ago"]
)
def test_a_list_whose_next_page_is_gone_goes_on_in_the_present_state(play, history, wait_s):
    async def scene(api):
        await four(api)
        first = (await api.get(MAPS + "?limit=2")).doc
        await api.clock.sleep(wait_s)
        for number in range(5):
            await api.config_map(f"d{number}")
        gone = await api.get(f"{MAPS}?limit=2&continue={first['metadata']['continue']}")
        names, token = [], gone.doc["metadata"]["continue"]
        while token:
            page = (await api.get(f"{MAPS}?limit=2&continue={token}")).doc
            names += [item["metadata"]["name"] for item in page["items"]]
            assert page["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
            token = page["metadata"].get("continue")
        return gone.said, names

    (code, reason, message), names = play(scene, history=history)
    assert (code, reason) == (410, "Expired")
    assert message.startswith("The provided continue parameter is too old")
    assert names == ["c2", "c3", "d0", "d1", "d2", "d3", "d4"]


def test_a_revision_that_is_not_there_yet(play):
    async def scene(api):
        await four(api)
        return await api.get(MAPS + "?resourceVersion=9999"), await api.get(MAPS + "/c1?resourceVersion=9999")

    for answer in play(scene):
        assert answer.status == 504
        assert answer.doc["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_revision_is_meant_exactly_where_pages_are_wanted_of_it(play):
    async def scene(api):
        await four(api)
        revision = (await api.get(MAPS)).doc["metadata"]["resourceVersion"]
        await api.config_map("d")
        targets = (f"?resourceVersion={revision}&limit=9", f"?resourceVersion={revision}", "?limit=-1")
        return [len((await api.get(MAPS + target)).doc["items"]) for target in targets]

    exactly, at_least, everything = play(scene)
    assert (exactly + 1, everything) == (at_least, at_least)


@pytest.mark.parametrize(
    ("query", "code", "part"),
    [
        ("limit=x", 400, "limit"),
        ("continue=%21%21", 400, "continue key is not valid"),
        ("continue=e30&resourceVersion=5", 400, "resource version is not allowed when using continue"),
        ("labelSelector=a+b", 400, "unable to parse requirement"),
        ("fieldSelector=spec.x%3D1", 400, '"spec.x" is not a known field selector: only'),
        ("resourceVersionMatch=Exact", 422, "forbidden unless resourceVersion is provided"),
        ("resourceVersionMatch=Maybe&resourceVersion=1", 422, 'Unsupported value: "Maybe"'),
        ("resourceVersion=99999", 504, "Too large resource version: 99999"),
    ],
)
def test_what_is_refused(play, query, code, part):
    async def scene(api):
        return (await api.get(f"{MAPS}?{query}")).said

    status, _, message = play(scene)
    assert status == code
    assert part in message


def test_lists_send_the_stored_bytes(play):
    async def scene(api):
        await four(api)
        entries = api.store.entries("ConfigMap", "default")
        return (await api.get(MAPS)).raw, b",".join(entry.raw for entry in entries)

    raw, joined = play(scene)
    assert joined in raw


def test_tables_and_metadata(play):
    async def scene(api):
        await api.config_map("a", x="1", y="2")
        table = (await api.get(MAPS, accept=TABLE)).doc
        whole = (await api.get(MAPS + "?includeObject=Object", accept=TABLE)).doc
        bare = (await api.get(MAPS + "/a?includeObject=None", accept=TABLE)).doc
        accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        return table, whole, bare, (await api.get(MAPS, accept=accept)).doc

    table, whole, bare, partial = play(scene)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["rows"][0]["cells"][:2] == ["a", 2]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert whole["rows"][0]["object"]["data"] == {"x": "1", "y": "2"}
    assert "object" not in bare["rows"][0]
    assert (partial["kind"], "data" in partial["items"][0]) == ("PartialObjectMetadataList", False)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/vnd.kubernetes.protobuf,application/json", 200),
        ("application/vnd.kubernetes.protobuf", 406),
        ("*/*", 200),
        ("", 200),
        ("text/html", 406),
        ("application/json;as=Table;v=v1;g=other.io,application/json", 200),
    ],
)
def test_negotiation(play, accept, status):
    async def scene(api):
        return (await api.get(MAPS, accept=accept)).status

    assert play(scene) == status
