"""POST /containers/{id}/wait: answers when the container has ended, or is gone.

The answer's head is sent at once: the client starts the container only when it has seen it, and must not miss its end.
Source: Docker Engine API 1.50, "ContainerWait"; docker.md 1.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.containers.finding import Finder
from coracle.docker.containers.lives import Lives
from coracle.docker.containers.states import is_alive
from coracle.docker.deeds import Deeds
from coracle.docker.door import Route
from coracle.engine.containers import Containers
from coracle.web.messages import Answer, Request, Stream, dumps

CONDITIONS = ("not-running", "next-exit", "removed")


class Waits:
    def __init__(self, finder: Finder, lives: Lives, containers: Containers, deeds: Deeds) -> None:
        self._finder, self._lives, self._containers = finder, lives, containers
        self._deeds = deeds

    def routes(self) -> Iterable[Route]:
        return (Route("POST", "/containers/{id}/wait", self.wait),)

    async def wait(self, request: Request) -> Answer:
        condition = request.query.get("condition") or "not-running"
        if condition not in CONDITIONS:
            raise Malformed(f'invalid condition: "{condition[:60]}"')
        record = self._finder.get(request.params["id"])
        if condition == "not-running" and not is_alive(record):
            return Stream(200, _ended(record))
        future = self._containers.next_ending(record.meta.name)
        if condition == "removed":
            return Stream(200, self._removed(record, future))
        return Stream(200, self._next(record, future))

    async def _next(self, record: Object, future: asyncio.Future[Object]) -> AsyncIterator[bytes]:
        try:
            ended = await future
            await self._settle(record)
        except NotFound:
            ended = record
        finally:
            future.cancel()
        yield _line(ended)

    async def _removed(self, record: Object, future: asyncio.Future[Object]) -> AsyncIterator[bytes]:
        last = record
        try:
            while True:
                last = await future
                await self._settle(record)
                future = self._containers.next_ending(record.meta.name)
        except NotFound:
            pass
        finally:
            future.cancel()
        yield _line(last)

    async def _settle(self, record: Object) -> None:
        """So that whoever hears of the end finds its ports and address free."""
        await self._deeds.finish(lambda: self._lives.settle(record.meta.name))


async def _ended(record: Object) -> AsyncIterator[bytes]:
    yield _line(record)


def _line(record: Object) -> bytes:
    return dumps({"StatusCode": int(record.status.get("exit_code") or 0)}) + b"\n"
