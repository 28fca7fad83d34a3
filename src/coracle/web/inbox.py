"""Bytes that have arrived and wait for their reader: the body of an upload, or an upgraded connection's input.

Filled by `connection` (never waits), read by one handler.  Above `HIGH_BYTES` the connection stops reading the socket.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

HIGH_BYTES = 256 * 1024
LOW_BYTES = 64 * 1024


class Inbox:
    """A bounded queue of bytes with one writer and one reader."""

    __slots__ = ("_chunks", "_error", "_on_space", "_waiter", "ended", "size_bytes")

    def __init__(self, on_space: Callable[[], None] | None = None) -> None:
        """`on_space` is called when a full inbox has been read down to LOW_BYTES."""
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._on_space = on_space
        self.ended = False
        self.size_bytes = 0

    @property
    def is_full(self) -> bool:
        return self.size_bytes > HIGH_BYTES

    def push(self, data: bytes) -> None:
        self._chunks.append(data)
        self.size_bytes += len(data)
        self._wake()

    def finish(self) -> None:
        """No more bytes will come: `read` gives what is there, then b""."""
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """`read` gives what is there, then raises `error`."""
        if not self.ended:
            self._error = error
            self.finish()

    async def read(self, limit_bytes: int = HIGH_BYTES) -> bytes:
        """At least one byte and at most `limit_bytes`; b"" at the end.

        Raises:      what `fail` was given.
        Concurrency: one reader at a time; a second one gets RuntimeError.
        """
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            await self._wait_arrival()
        return self._take(limit_bytes)

    def _take(self, limit_bytes: int) -> bytes:
        chunk = self._chunks.popleft()
        if len(chunk) > limit_bytes:
            self._chunks.appendleft(chunk[limit_bytes:])
            chunk = chunk[:limit_bytes]
        before, self.size_bytes = self.size_bytes, self.size_bytes - len(chunk)
        if before > LOW_BYTES >= self.size_bytes and self._on_space is not None:
            self._on_space()
        return chunk

    async def _wait_arrival(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("two readers of one stream")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
