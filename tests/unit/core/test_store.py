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
