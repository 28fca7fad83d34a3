"""A client joined to a program: bytes both ways until the program has said all, or the client leaves.

What the program writes waits for the client, as in a pipe: nothing is lost, and no more than a few pieces are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol

from coracle.docker.streams.detachkeys import DetachKeys
from coracle.runtime.api import Streams
from coracle.web.websocket import WebSocket
from coracle.wire.stdcopy import frame

End = Literal["ended", "left", "detached"]


class Connection(Protocol):
    """A client's end: `web.messages.RawStream`, or a WebSocket made to look like one."""

    async def read(self, limit_bytes: int = 65536) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants of a program.

    outputs   1 and 2: which of its streams
    framed    each piece says which stream it is of (wire.stdcopy)
    keys      detach keys; b"" where nothing detaches
    once      the end of the client's input is the end of the program's; else the client leaves by it
    """

    stdin: bool
    outputs: Collection[int]
    framed: bool
    keys: bytes = b""
    once: bool = True


class Socket:
    """A WebSocket as a Connection: each message is a piece of the stream."""

    def __init__(self, socket: WebSocket, *, binary: bool) -> None:
        self._socket, self._binary = socket, binary

    async def read(self, limit_bytes: int = 65536) -> bytes:
        while True:
            message = await self._socket.receive()
            if message is None:
                return b""
            if message:
                return message.encode() if isinstance(message, str) else message

    async def write(self, data: bytes) -> None:
        await self._socket.send(data if self._binary else data.decode(errors="replace"))


async def join(connection: Connection, program: Streams, wish: Wish) -> End:
    """Until the program's output ends, or the client leaves, or it types its detach keys.  `program` stays open."""
    how: End = "ended"
    try:
        async with asyncio.TaskGroup() as group:
            outward = group.create_task(_outward(connection, program, wish), name="stream-out")
            if wish.stdin:
                inward = group.create_task(_inward(connection, program, wish), name="stream-in")
                await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
                if not outward.done() and inward.exception() is None:
                    how = inward.result()
                if how != "ended":
                    outward.cancel()
                await asyncio.wait((outward,))
                inward.cancel()
    except* ConnectionError:
        how = "left"
    return how


async def drained(program: Streams) -> None:
    """Take what it writes and nobody reads, so that it does not wait."""
    async for _ in program:
        pass


async def _outward(connection: Connection, program: Streams, wish: Wish) -> None:
    async for stream, data in program:
        if stream in wish.outputs and data:
            await connection.write(frame(stream, data) if wish.framed else data)


async def _inward(connection: Connection, program: Streams, wish: Wish) -> End:
    """What the client sends, until it has sent all; a program that no longer reads is no failure."""
    keys = DetachKeys(wish.keys) if wish.keys else None
    while data := await connection.read():
        is_over = False
        if keys is not None:
            data, is_over = keys.feed(data)
        if data:
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                await program.write(data)
        if is_over:
            return "detached"
    if not wish.once:
        return "left"
    program.close_stdin()
    return "ended"
