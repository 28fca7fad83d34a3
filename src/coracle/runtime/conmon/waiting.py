"""Waiting on descriptors without streams, threads or polling.

One waiter a descriptor at a time; descriptors are not blocking.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence

PIECE_BYTES = 64 * 1024


class Waiter:
    """One who waits for descriptors, and can be woken without them."""

    def __init__(self) -> None:
        self._ready: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def readable(self, *fds: int) -> None:
        """Until one of them can be read or is at its end, or `wake`."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        try:
            for fd in fds:
                loop.add_reader(fd, self.wake)
            await self._ready
        finally:
            self._ready = None
            for fd in fds:
                loop.remove_reader(fd)


async def wait_readable(fd: int) -> None:
    """Until it can be read, or is at its end."""
    await Waiter().readable(fd)


async def wait_writable(fd: int) -> None:
    """Until it can be written, or nobody will read any more."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def say() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(fd, say)
    try:
        await ready
    finally:
        loop.remove_writer(fd)


def read_nowait(fd: int) -> bytes | None:
    """A piece; b"" at the end (a terminal says EIO for it), None where nothing has come."""
    try:
        return os.read(fd, PIECE_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


async def read_to_end(fd: int) -> bytes:
    """Everything until the last writer has closed it."""
    pieces: list[bytes] = []
    while True:
        piece = read_nowait(fd)
        if piece is None:
            await wait_readable(fd)
        elif piece:
            pieces.append(piece)
        else:
            return b"".join(pieces)


async def write_all(fd: int, data: bytes) -> None:
    """All of it, as fast as it is read.  Raises BrokenPipeError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            await wait_writable(fd)


def pipe() -> tuple[int, int]:
    """(reader, writer), neither inherited, both blocking."""
    return os.pipe2(os.O_CLOEXEC)


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
