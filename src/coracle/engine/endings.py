"""Who waits for the end of which container."""

from __future__ import annotations

import asyncio

from coracle.core.errors import NotFound
from coracle.core.object import Object


class Endings:
    """Futures by container id, each for one waiter alone: who cancels it takes nothing from the others."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Future[Object]]] = {}

    def next(self, id: str) -> asyncio.Future[Object]:
        """The record at its next end; NotFound when it is removed before."""
        waiter: asyncio.Future[Object] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(id, set()).add(waiter)
        waiter.add_done_callback(lambda done: self._drop(id, done))
        return waiter

    def tell(self, record: Object) -> None:
        """It has ended: this is its record."""
        for waiter in self._waiters.pop(record.meta.name, set()):
            if not waiter.done():
                waiter.set_result(record)

    def forget(self, id: str) -> None:
        """It is gone."""
        for waiter in self._waiters.pop(id, set()):
            if not waiter.done():
                waiter.set_exception(NotFound(kind="Container", name=id))

    def __len__(self) -> int:
        return sum(len(waiters) for waiters in self._waiters.values())

    def _drop(self, id: str, waiter: asyncio.Future[Object]) -> None:
        if not waiter.cancelled():
            waiter.exception()  # looked at: nobody may have waited to the end
        waiters = self._waiters.get(id, set())
        waiters.discard(waiter)
        if not waiters:
            self._waiters.pop(id, None)
