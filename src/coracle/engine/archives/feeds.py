"""From the loop to a thread: bytes that arrive, read as a file."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

LIMIT_BYTES = 4 << 20  # waiting for the thread


class Feed:
    """The loop puts, a thread reads; each waits for the other.  `end` comes last, and once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._changed = threading.Condition()
        self._data: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None

    # -- the loop's side -----------------------------------------------------------------------------------------

    async def put(self, data: bytes) -> None:
        """Returns when there is room for more, or nobody reads any longer."""
        self._room.clear()
        with self._changed:
            if self._closed:
                return
            self._data.append(data)
            self._size += len(data)
            self._changed.notify()
            if self._size < LIMIT_BYTES:
                return
        await self._room.wait()

    def end(self, error: BaseException | None = None) -> None:
        """No more comes; `error`, where it is not all."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    # -- the thread's side ---------------------------------------------------------------------------------------

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end.  Raises what the end came with."""
        with self._changed:
            while not self._data and not self._ended:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            data = self._data.popleft() if self._data else b""
            if len(data) > size:
                self._data.appendleft(data[size:])
                data = data[:size]
            self._size -= len(data)
            if data and self._size < LIMIT_BYTES <= self._size + len(data):
                self._wake()
        return data

    def close(self) -> None:
        """Nobody reads any longer."""
        with self._changed:
            self._closed = True
            self._data.clear()
            self._wake()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)
