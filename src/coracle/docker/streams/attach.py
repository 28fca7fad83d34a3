"""Attach: a client joined to a container's own program, before or while it runs.

    POST /containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1&logs=0&detachKeys=   -> 101, or 200 without Upgrade
    GET  /containers/{id}/attach/ws                                                     -> 101, a WebSocket
    POST /containers/{id}/resize?h=24&w=80                                              -> 200

The 101 comes before the program starts, or once the client is joined to one that runs: from then on not a byte of it is
missed.  With `logs` the client is given what was written before as well: then it reads the log, which has everything in
order and once.
Source: Docker Engine API, "Attach to a container"; reference docker.md 1.3.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from coracle.core.errors import CloudError, Conflict
from coracle.core.object import Object
from coracle.docker.bodies import flag
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.streams.detachkeys import parse_keys
from coracle.docker.streams.joining import Connection, Socket, Wish, drained, join
from coracle.docker.streams.sizes import size_of
from coracle.docker.streams.types import content_type
from coracle.docker.versions import Version, version_of
from coracle.engine.attachments import Attachment
from coracle.engine.containers import Containers
from coracle.engine.logs import Logs, Piece
from coracle.runtime.api import Streams
from coracle.web.messages import Answer, Request, Response, Upgrade
from coracle.web.websocket import WebSocket, accept

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attach:
    """The area of the API that joins clients to containers."""

    finder: Finder
    containers: Containers
    logs: Logs
    events: Events

    def routes(self) -> Iterable[Route]:
        return (
            Route("POST", "/containers/{id}/attach", self.attach),
            Route("GET", "/containers/{id}/attach/ws", self.attach_socket),
            Route("POST", "/containers/{id}/resize", self.resize),
        )

    async def attach(self, request: Request) -> Answer:
        record = self._attachable(request)
        tty = bool(record.spec["tty"])
        visit = await self._visit(request, record, _asked(request), framed=not tty)
        headers = {"Content-Type": content_type(request, framed=not tty)}
        return Upgrade("tcp", visit.over, headers, status=101 if request.upgrade else 200)

    async def attach_socket(self, request: Request) -> Answer:
        """Both outputs in one stream; before 1.42 all three streams whatever is asked, before 1.28 as text."""
        record = self._attachable(request)
        version = version_of(request)
        asked = _asked(request) if version >= Version(1, 42) else {"stdin", "stdout", "stderr"}
        visit = await self._visit(request, record, asked, framed=False)

        async def run(socket: WebSocket) -> None:
            await visit.over(Socket(socket, binary=version >= Version(1, 28)))

        return accept(request, (), run)

    async def resize(self, request: Request) -> Answer:
        columns, rows = size_of(request)
        record = self.finder.get(request.params["id"])
        self.containers.resize(record.meta.name, columns, rows)
        await self.events.publish_container("resize", record, {"height": str(rows), "width": str(columns)})
        return Response(200)

    def _attachable(self, request: Request) -> Object:
        record = self.finder.get(request.params["id"])
        if record.status.get("paused"):
            said = f"container {record.meta.name} is paused, unpause the container before attach"
            raise Conflict(said, kind="Container", name=record.meta.name)
        return record

    async def _visit(self, request: Request, record: Object, asked: set[str], *, framed: bool) -> _Visit:
        """Registers the client with the container, so that nothing is missed of what runs or starts from now on."""
        keys = parse_keys(request.query.get("detachKeys"))
        tty, once = bool(record.spec["tty"]), bool(record.spec["stdin_once"])
        wish = Wish(
            stdin="stdin" in asked and bool(record.spec["stdin"]),
            outputs={number for number, name in ((1, "stdout"), (2, "stderr")) if name in asked},
            framed=framed,
            keys=keys if tty else b"",
            once=once and not tty,
        )
        streams = flag(request, "stream") and bool(asked)
        attachment = self.containers.attaching(record.meta.name) if streams else None
        visit = _Visit(self, record, wish, attachment, with_log=flag(request, "logs"))
        if attachment is not None:
            await _joined(attachment)
        return visit


@dataclass(frozen=True, slots=True)
class _Visit:
    """One client's stay.  Without an attachment it is given the log and goes."""

    area: Attach
    record: Object
    wish: Wish
    attachment: Attachment | None
    with_log: bool

    async def over(self, connection: Connection) -> None:
        with contextlib.closing(self.attachment) if self.attachment else contextlib.nullcontext():
            await self.area.events.publish_container("attach", self.record)
            if self.attachment is None or (self.with_log and self.record.status["state"] != "running"):
                await self._replay(connection)
            if self.attachment is None:
                return
            try:
                program = await self.attachment.streams()
            except CloudError as error:  # it was not started, or is gone: who starts it is told why
                log.info("attaching to container %s: %s", self.record.meta.name, error)
                return
            if await self._join(connection, program) == "detached":
                await self.area.events.publish_container("detach", self.record)

    async def _replay(self, connection: Connection) -> None:
        """What it has written so far."""
        if self.with_log:
            written = _Written(self.area.logs.pieces(self.record.meta.name))
            await join(connection, written, replace(self.wish, stdin=False))

    async def _join(self, connection: Connection, program: Streams) -> str:
        if not self.with_log or self.record.status["state"] != "running":
            return await join(connection, program, self.wish)
        written = self.area.logs.pieces(self.record.meta.name, follow=True)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(drained(program), name="attach-drain")
            how = await join(connection, _Written(written, program), self.wish)
            drain.cancel()
        return how


class _Written:
    """As Streams: what a log says, and the input of the program that writes it."""

    def __init__(self, pieces: AsyncIterator[Sequence[Piece]], program: Streams | None = None) -> None:
        self._pieces, self._program = pieces, program

    async def write(self, data: bytes) -> None:
        if self._program is not None:
            await self._program.write(data)

    def close_stdin(self) -> None:
        if self._program is not None:
            self._program.close_stdin()

    def resize(self, columns: int, rows: int) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[Piece]:
        async with contextlib.aclosing(cast(AsyncGenerator[Sequence[Piece], None], self._pieces)) as blocks:
            async for pieces in blocks:
                for piece in pieces:
                    yield piece

    def close(self) -> None:
        pass


async def _joined(attachment: Attachment) -> None:
    try:
        await attachment.join()
    except BaseException:
        attachment.close()
        raise


def _asked(request: Request) -> set[str]:
    return {name for name in ("stdin", "stdout", "stderr") if flag(request, name)}
