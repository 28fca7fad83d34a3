import asyncio
import contextlib
import errno
import logging
from itertools import pairwise

import pytest

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.errors import Unavailable
from coracle.core.informer import Informer
from coracle.core.kind import Kind
from coracle.core.loop import Again, Loop, itself, owner
from coracle.core.object import Key, Meta, Object
from coracle.core.store import MemoryStore, Put
from coracle.core.tasks import run_parts
from coracle.core.workqueue import Workqueue
from coracle.testing.autojump import run

SET, PART = Kind(name="Set", plural="sets"), Kind(name="Part", plural="parts")
KEY = Key("default", "web")


class Keep:
    """Keeps `spec.count` Parts per Set: the smallest loop there is."""

    name = "keep"
    watches = {"Set": itself, "Part": owner("Set")}

    def __init__(self, caches, parts):
        self.caches, self.parts, self.calls = caches, parts, 0

    async def reconcile(self, key):
        self.calls += 1
        wanted = self.caches["Set"].find(key)
        if wanted is None:
            return
        for _ in range(wanted.spec["count"] - len(self.caches["Part"].owned_by(wanted.meta.uid))):
            meta = Meta(generate_name="part-", namespace="default", owners=(wanted.as_owner(),))
            await self.parts.create(Object("Part", meta))


class Slow(Informer):
    """A cache that learns everything 0.2 s late."""

    def _apply(self, event):
        super()._apply(event)

    async def run(self, up):
        async def late(batch):
            await asyncio.sleep(0.2)
            return batch

        original = self._store.watch

        class Watched:
            def __init__(self, watch):
                self.watch, self.progress, self.close = watch, watch.progress, watch.close

            def __aiter__(self):
                return self

            async def __anext__(self):
                return await late(await anext(self.watch))

        class Store:
            list = self._store.list

            def watch(self, *arguments):
                return Watched(original(*arguments))

        self._store = Store()
        await super().run(up)


class Cluster:
    def __init__(self, store=None, cache=Informer):
        self.store = store or MemoryStore()
        self.sets, self.parts = (Collection(kind, self.store, LoopClock()) for kind in (SET, PART))
        self.caches = {"Set": Informer("Set", self.store), "Part": cache("Part", self.store)}
        self.keep = Keep(self.caches, self.parts)
        self._running = [*self.caches.values(), Loop(self.keep, self.caches, self.store, workers=4)]

    async def settle(self, seconds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await run_parts(self._running, up=lambda: None)


def a_set(count):
    return Object("Set", Meta(name="web", namespace="default"), {"spec": {"count": count}})


@pytest.mark.parametrize("cache", [Informer, Slow])
def test_things_are_made_once_however_late_the_cache_is(cache):
    async def main():
        cluster = Cluster(cache=cache)
        await cluster.sets.create(a_set(3))
        await cluster.settle(60)
        assert len(cluster.parts.list()) == 3

    run(main())


def test_what_disappears_comes_back():
    async def main():
        cluster = Cluster()
        await cluster.sets.create(a_set(2))
        await cluster.settle(1)
        gone = cluster.parts.list()[0]

        async def later():
            await asyncio.sleep(1)
            await cluster.parts.delete(gone.key)

        async with asyncio.TaskGroup() as group:
            group.create_task(later())
            group.create_task(cluster.settle(10))
        names = [part.meta.name for part in cluster.parts.list()]
        assert len(names) == 2
        assert gone.meta.name not in names

    run(main())


class FullStore(MemoryStore):
    """A store with no room for parts; remembers when it was asked."""

    def __init__(self, failure=None):
        super().__init__()
        self.asked_at_s, self.refusal = [], failure or Unavailable("no room")

    async def commit(self, *changes):
        if any(isinstance(change, Put) and change.obj.kind == "Part" for change in changes):
            self.asked_at_s.append(asyncio.get_running_loop().time())
            raise self.refusal
        return await super().commit(*changes)


def test_a_full_store_is_asked_again_after_growing_delays():
    async def main():
        cluster = Cluster(FullStore())
        await cluster.sets.create(a_set(1))
        await cluster.settle(1)
        return cluster.store.asked_at_s

    gaps_s = [round(b - a, 3) for a, b in pairwise(run(main()))]
    assert gaps_s[:4] == [0.005, 0.01, 0.02, 0.04]


@pytest.mark.parametrize(
    ("failure", "is_ours"),
    [(Unavailable("no room"), False), (OSError(errno.ENOSPC, "full"), False), (OSError(errno.EIO, "broken"), True)],
    ids=["told", "full disk", "anything else"],
)
def test_only_a_failure_of_ours_is_traced_in_the_log(caplog, failure, is_ours):
    async def main():
        cluster = Cluster(FullStore(failure))
        await cluster.sets.create(a_set(1))
        with caplog.at_level(logging.DEBUG, "coracle.core.loop"):
            await cluster.settle(1)

    run(main())
    assert {bool(record.exc_info) for record in caplog.records} == {is_ours}


def test_an_informer_lists_again_when_its_watch_expires():
    async def main():
        store = MemoryStore(history=5, backlog=5)
        cache = Informer("Set", store, {"count": lambda obj: [str(obj.spec["count"])]})
        seen = []
        cache.listen(lambda event: seen.append((event.type, event.entry.key.name)))

        def numbered(n):
            return Object("Set", Meta(name=f"s{n % 7}", namespace="d", uid=str(n)), {"spec": {"count": n}})

        async def flood():
            for n in range(50):
                await store.commit(Put(numbered(n)))
            await asyncio.sleep(1)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                async with asyncio.TaskGroup() as group:
                    group.create_task(flood())
                    group.create_task(run_parts([cache], lambda: None))
        assert sorted(obj.spec["count"] for obj in cache.list()) == list(range(43, 50))
        assert cache.by("count", "49")[0].meta.name == "s0"
        assert cache.by("count", "1") == []

    run(main())


class TestWorkqueue:
    def test_a_key_is_never_handed_out_twice_at_once(self):
        async def main():
            queue = Workqueue()
            queue.add("a")
            queue.add("a")
            assert await queue.take() == "a"
            queue.add("a")
            assert len(queue) == 0
            queue.done("a")
            assert len(queue) == 1

        run(main())

    def test_the_earlier_of_two_wishes_stands(self):
        async def main():
            queue = Workqueue()
            queue.add_after("a", 10)
            queue.add_after("a", 5)
            queue.add_after("a", 20)
            await queue.take()
            assert asyncio.get_running_loop().time() == pytest.approx(5)
            queue.done("a")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(100):
                    await queue.take()

        run(main())

    def test_success_forgets_failures(self):
        async def main():
            queue = Workqueue()
            assert [queue.add_failed("a"), queue.add_failed("a")] == [0.005, 0.01]
            queue.forget("a")
            assert queue.add_failed("a") == 0.005

        run(main())


def test_again_comes_back_after_its_time():
    class Tick:
        name, watches = "tick", {"Set": itself}
        at_s = []

        async def reconcile(self, key):
            self.at_s.append(round(asyncio.get_running_loop().time()))
            return Again(10)

    async def main():
        cluster = Cluster()
        await cluster.sets.create(a_set(0))
        cluster._running[-1] = Loop(Tick(), cluster.caches, cluster.store)
        await cluster.settle(35)

    run(main())
    assert Tick.at_s == [0, 10, 20, 30]
