"""Watches: what comes, in which order, when nothing comes, and when it ends."""

from __future__ import annotations

MAPS = "/api/v1/namespaces/default/configmaps"


def test_what_there_is_and_then_the_changes(play):
    async def scene(api):
        await api.config_map("a")
        watch = await api.watch(MAPS + "?watch=1")
        first = await watch.names(1)
        await api.config_map("b")
        await api.ask("PATCH", MAPS + "/a", {"data": {"x": "1"}})
        await api.ask("DELETE", MAPS + "/a")
        return first + await watch.names(3)

    assert play(scene) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_after_a_revision_only_what_came_later_each_once(play):
    async def scene(api):
        made = await api.config_map("a")
        await api.config_map("b")
        watch = await api.watch(f"{MAPS}?watch=1&resourceVersion={made['metadata']['resourceVersion']}")
        got = await watch.names(1)
        await api.config_map("c")
        return got + await watch.names(1), await watch.quiet(30)

    assert play(scene) == ([("ADDED", "b"), ("ADDED", "c")], True)


def test_other_namespaces_and_names_are_not_seen(play):
    async def scene(api):
        await api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        watch = await api.watch(MAPS + "?watch=1&fieldSelector=metadata.name%3Db")
        everywhere = await api.watch("/api/v1/configmaps?watch=1")
        await api.config_map("a")
        await api.ask("POST", "/api/v1/namespaces/other/configmaps", {"metadata": {"name": "b"}})
        await api.config_map("b")
        one = await watch.next()
        return one["object"]["metadata"]["namespace"], await everywhere.names(3)

    assert play(scene) == ("default", [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "b")])


def test_a_selector_turns_changes_into_coming_and_going(play):
    async def scene(api):
        await api.config_map("a", {"app": "web"})
        watch = await api.watch(MAPS + "?watch=1&labelSelector=app%3Dweb")
        await watch.next()
        await api.ask("PATCH", MAPS + "/a", {"metadata": {"labels": {"app": "other"}}})
        gone = await watch.next()
        await api.ask("PATCH", MAPS + "/a", {"data": {"unseen": "1"}})
        back = (await api.ask("PATCH", MAPS + "/a", {"metadata": {"labels": {"app": "web"}}})).doc
        return gone, await watch.next(), back

    gone, came, back = play(scene)
    assert (gone["type"], gone["object"]["metadata"]["labels"]) == ("DELETED", {"app": "web"})
    assert (came["type"], came["object"]) == ("ADDED", back)
    assert int(gone["object"]["metadata"]["resourceVersion"]) < int(back["metadata"]["resourceVersion"])


def test_bookmarks_come_each_minute_where_allowed(play):
    async def scene(api):
        watch = await api.watch(MAPS + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=150&resourceVersion=1")
        started_s = api.clock.now_s()
        seen = []
        while event := await watch.next():
            seen.append((event["type"], round(api.clock.now_s() - started_s)))
            version = event["object"]["metadata"]["resourceVersion"]
        return seen, version, round(api.clock.now_s() - started_s), str(api.store.revision)

    seen, version, lasted_s, revision = play(scene)
    assert seen == [("BOOKMARK", 60), ("BOOKMARK", 120)]
    assert (version, lasted_s) == (revision, 150)


def test_no_bookmarks_unless_allowed_and_an_end_in_any_case(play):
    async def scene(api):
        watch = await api.watch(MAPS + "?watch=1&resourceVersion=1")
        started_s = api.clock.now_s()
        return await watch.next(), api.clock.now_s() - started_s

    end, lasted_s = play(scene)
    assert end is None
    assert 1800 <= lasted_s <= 3600


def test_initial_events_end_in_a_bookmark_that_says_so(play):
    async def scene(api):
        await api.config_map("a")
        options = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        watch = await api.watch(f"{MAPS}?watch=1&{options}")
        return await watch.next(), await watch.next()

    first, mark = play(scene)
    assert first["object"]["metadata"]["name"] == "a"
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_initial_events_need_their_match(play):
    async def scene(api):
        return (await api.get(MAPS + "?watch=1&sendInitialEvents=true")).said

    assert play(scene) == (
        422,
        "Invalid",
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting '
        "resourceVersionMatch to NotOlderThan",
    )


def test_a_past_that_is_gone_is_an_error_event(play):
    async def scene(api):
        for number in range(5):
            await api.config_map(f"c{number}")
        watch = await api.watch(MAPS + "?watch=1&resourceVersion=1")
        return await watch.next(), await watch.next()

    error, end = play(scene, history=2)
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert error["object"]["message"].startswith("too old resource version: 1")
    assert end is None


def test_a_closed_watch_is_forgotten_by_the_store(play):
    async def scene(api):
        watch = await api.watch(MAPS + "?watch=1")
        await watch.quiet(1)
        open_before = len(api.store._table._watches["ConfigMap"])
        await watch.close()
        return open_before, len(api.store._table._watches["ConfigMap"])

    assert play(scene)[1] == 0


def test_tables_have_their_columns_once(play):
    async def scene(api):
        await api.config_map("a", x="1")
        watch = await api.watch(MAPS + "?watch=1", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        first = await watch.next()
        await api.config_map("b")
        return first["object"], (await watch.next())["object"]

    first, second = play(scene)
    assert [row["cells"][0] for row in (*first["rows"], *second["rows"])] == ["a", "b"]
    assert first["columnDefinitions"][0]["name"].lower() == "name"
    assert second["columnDefinitions"] == []
    assert second["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_one_object_may_be_watched_by_its_path(play):
    async def scene(api):
        watch = await api.watch(MAPS + "/b?watch=1")
        await api.config_map("a")
        await api.config_map("b")
        return await watch.names(1)

    assert play(scene) == [("ADDED", "b")]
