"""What is begun is finished: work that goes on when the client that asked for it has gone away.

A client that is gone takes its handler's task with it (web.connection).  Half a start or half a removal would be undone
then, or worse; dockerd finishes both, and so do we.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from coracle.core.tasks import Tasks
from coracle.docker.door import Area, Route
from coracle.web.messages import Answer, Handler, Request

T = TypeVar("T")


class Deeds:
    """A Part, in whose tasks the work is done."""

    def __init__(self) -> None:
        self._tasks = Tasks()

    async def run(self, up: Callable[[], None]) -> None:
        await self._tasks.run(up)

    async def finish(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it; cancelling abandons the wait, not the work.  Raises what it raises, and Unavailable at the end."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tasks.begin(_do(work, outcome), name="deed")
        return await outcome

    def finishing(self, area: Area) -> Area:
        """`area`, with handlers that are finished."""
        return _Finishing(self, area)


class _Finishing:
    def __init__(self, deeds: Deeds, area: Area) -> None:
        self._deeds, self._area = deeds, area

    def routes(self) -> Iterable[Route]:
        return [replace(route, handler=self._finishing(route.handler)) for route in self._area.routes()]

    def _finishing(self, handler: Handler) -> Handler:
        async def finishing(request: Request) -> Answer:
            return await self._deeds.finish(lambda: handler(request))

        return finishing


async def _do(work: Callable[[], Awaitable[T]], outcome: asyncio.Future[T]) -> None:
    try:
        result = await work()
    except Exception as error:
        if not outcome.done():
            outcome.set_exception(error)
    else:
        if not outcome.done():
            outcome.set_result(result)
    finally:
        outcome.cancel()  # where the daemon ends in the middle of it
