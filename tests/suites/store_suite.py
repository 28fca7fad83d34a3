"""What every Store does, whatever keeps its data.  A driver's test subclasses StoreSuite and says how to make one."""

import asyncio
import contextlib

import pytest

from coracle.core.errors import AlreadyExists, Conflict, Expired, NotFound
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Delete, Put


def thing(name, namespace="", **body):
    return Object("Thing", Meta(name=name, namespace=namespace, uid=f"uid-{name}"), body)


def key(name, namespace=""):
    return Key(namespace, name)


async def taken(watch, count):
    """The next `count` events as (type, name, revision)."""
    found = []
    async with asyncio.timeout(60):
        while len(found) < count:
            batch = await anext(watch)
            found += [(e.type, e.entry.key.name, e.entry.revision) for e in batch.events]
    return found


class StoreSuite:
    def open(self, history=100):
        """An async context manager that gives an open, empty store."""
        raise NotImplementedError

    def check(self, main, history=100):
        async def with_store():
            async with self.open(history) as store:
                await main(store)

        asyncio.run(with_store())

    def test_commit_moves_the_revision_by_one_for_many_changes(self):
        async def main(store):
            before = store.revision
            assert await store.commit(Put(thing("a")), Put(thing("b"))) == before + 1
            assert {e.revision for e in store.list("Thing").entries} == {before + 1}
            assert {o.meta.revision for o in store.list("Thing").items} == {before + 1}

        self.check(main)

    def test_commit_is_all_or_nothing(self):
        async def main(store):
            await store.commit(Put(thing("a"), expect=0))
            revision = store.revision
            with pytest.raises(AlreadyExists):
                await store.commit(Put(thing("b"), expect=0), Put(thing("a"), expect=0))
            assert (store.revision, len(store.list("Thing").entries)) == (revision, 1)
            assert store.head("Thing", key("b")) is None

        self.check(main)

    def test_a_stale_revision_is_a_conflict_and_changes_nothing(self):
        async def main(store):
            first = await store.commit(Put(thing("a", n=1)))
            await store.commit(Put(thing("a", n=2), expect=first))
            with pytest.raises(Conflict):
                await store.commit(Put(thing("a", n=3), expect=first))
            assert store.find("Thing", key("a")).object().body == {"n": 2}

        self.check(main)

    def test_what_is_missing_cannot_be_deleted_or_updated(self):
        async def main(store):
            with pytest.raises(NotFound):
                await store.commit(Delete("Thing", key("a")))
            with pytest.raises(NotFound):
                await store.commit(Put(thing("a"), expect=5))

        self.check(main)

    def test_of_many_writers_of_one_revision_exactly_one_wins(self):
        async def main(store):
            first = await store.commit(Put(thing("a")))
            commits = [store.commit(Put(thing("a", n=n), expect=first)) for n in range(20)]
            ends = await asyncio.gather(*commits, return_exceptions=True)
            assert sorted(isinstance(end, Conflict) for end in ends) == [False] + [True] * 19

        self.check(main)

    def test_lists_are_in_order_and_by_namespace(self):
        async def main(store):
            await store.commit(*[Put(thing(n, ns)) for ns, n in [("b", "x"), ("a", "y"), ("ab", "z"), ("a", "c")]])
            names = [(e.key.namespace, e.key.name) for e in store.list("Thing").entries]
            assert names == [("a", "c"), ("a", "y"), ("ab", "z"), ("b", "x")]
            assert [e.key.name for e in store.list("Thing", "a").entries] == ["c", "y"]
            assert store.list("Thing", "none").entries == []
            assert list(store.list("Other").entries) == []

        self.check(main)

    def test_a_watch_tells_every_change_in_order_once(self):
        async def main(store):
            watch = store.watch("Thing")
            r = store.revision
            await store.commit(Put(thing("a")))
            await store.commit(Put(thing("a", n=1)), Put(thing("b")))
            await store.commit(Put(Object("Other", Meta(name="o"))))
            await store.commit(Delete("Thing", key("a")))
            assert await taken(watch, 4) == [
                ("ADDED", "a", r + 1),
                ("MODIFIED", "a", r + 2),
                ("ADDED", "b", r + 2),
                ("DELETED", "a", r + 4),
            ]

        self.check(main)

    def test_a_watch_resumes_after_a_revision(self):
        async def main(store):
            first = await store.commit(Put(thing("a")))
            await store.commit(Put(thing("b")))
            assert await taken(store.watch("Thing", first), 1) == [("ADDED", "b", first + 1)]

        self.check(main)

    def test_a_deleted_thing_is_told_in_its_last_state_at_the_new_revision(self):
        async def main(store):
            await store.commit(Put(thing("a", n=7)))
            watch = store.watch("Thing")
            revision = await store.commit(Delete("Thing", key("a")))
            event = (await anext(watch)).events[0]
            assert (event.entry.object().body, event.entry.object().meta.revision) == ({"n": 7}, revision)

        self.check(main)

    def test_a_watch_that_comes_too_late_is_told_expired(self):
        async def main(store):
            first = await store.commit(Put(thing("a")))
            for n in range(10):
                await store.commit(Put(thing("a", n=n)))
            with pytest.raises(Expired):
                store.watch("Thing", first)

        self.check(main, history=5)

    def test_progress_brings_an_empty_batch_at_the_present_revision(self):
        async def main(store):
            watch = store.watch("Thing")
            revision = await store.commit(Put(Object("Other", Meta(name="o"))))
            watch.progress()
            async with asyncio.timeout(60):
                batch = await anext(watch)
            assert (batch.revision, list(batch.events)) == (revision, [])

        self.check(main)

    def test_head_sees_what_is_on_its_way(self):
        async def main(store):
            async with asyncio.TaskGroup() as group:
                task = group.create_task(store.commit(Put(thing("a", n=1))))
                await asyncio.sleep(0)
                assert store.head("Thing", key("a")).object().body == {"n": 1}
            assert task.result() == store.revision

        self.check(main)

    def test_what_was_on_its_way_can_be_read_once_it_is_settled(self):
        async def main(store):
            await store.settle()
            async with asyncio.TaskGroup() as group:
                group.create_task(store.commit(Put(thing("a", n=1))))
                await asyncio.sleep(0)
                await store.settle()
                assert store.find("Thing", key("a")).object().body == {"n": 1}

        self.check(main)


def memory(store):
    """For drivers that need no opening."""

    @contextlib.asynccontextmanager
    async def context():
        yield store

    return context()
