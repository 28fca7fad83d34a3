import asyncio

import pytest

from coracle.core.errors import Expired
from coracle.core.store import MemoryStore, Put
from suites.store_suite import StoreSuite, memory, thing


class TestMemoryStore(StoreSuite):
    def open(self, history=100):
        return memory(MemoryStore(history))


def test_a_watcher_that_falls_behind_is_told_expired_and_costs_no_more():
    async def main():
        store = MemoryStore(backlog=10)
        watch = store.watch("Thing")
        for n in range(20):
            await store.commit(Put(thing("a", n=n)))
        with pytest.raises(Expired):
            await anext(watch)
        assert not store._table._watches["Thing"]

    asyncio.run(main())


def test_large_objects_shorten_the_history():
    async def main():
        store = MemoryStore(limit_bytes=50_000)
        for n in range(20):
            await store.commit(Put(thing("a", n=n, text="x" * 10_000)))
        kept = [await anext(store.watch("Thing", since)) for since in range(16, 20)]
        assert [batch.revision for batch in kept] == [17, 18, 19, 20]
        with pytest.raises(Expired):
            store.watch("Thing", 15)

    asyncio.run(main())


def test_a_watcher_that_falls_behind_by_few_large_objects_is_told_expired():
    async def main():
        store = MemoryStore(limit_bytes=50_000)
        behind, reading = store.watch("Thing"), store.watch("Thing")
        for n in range(20):
            await store.commit(Put(thing("a", n=n, text="x" * 10_000)))
            assert (await anext(reading)).revision == n + 1
        with pytest.raises(Expired):
            await anext(behind)

    asyncio.run(main())


def test_an_object_larger_than_all_that_is_kept_is_told_all_the_same():
    async def main():
        store = MemoryStore(limit_bytes=50_000)
        watch = store.watch("Thing")
        await store.commit(Put(thing("a", text="x" * 100_000)))
        assert (await anext(watch)).revision == 1
        assert store.watch("Thing", since=1).next_nowait() is None

    asyncio.run(main())
