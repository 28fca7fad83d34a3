"""An upgraded connection in its handler's hands."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from coracle.web.inbox import Inbox
from coracle.web.pipe import Pipe


class Raw:
    """`messages.RawStream` over a connection's pipe and inbox."""

    __slots__ = ("_inbox", "_is_closed", "_pipe", "_wait_freed")

    def __init__(self, pipe: Pipe, inbox: Inbox, wait_freed: Callable[[float | None], Awaitable[None]]) -> None:
        self._pipe, self._inbox, self._wait_freed = pipe, inbox, wait_freed
        self._is_closed = False

    async def read(self, limit_bytes: int = 65536) -> bytes:
        """At least one byte; b"" once the client has closed its sending side.  Raises ConnectionResetError."""
        return await self._inbox.read(limit_bytes)

    async def write(self, data: bytes) -> None:
        """Send; waits while the client does not take what was sent before.

        Concurrency: several tasks may write; each write's bytes stay together.
        Raises:      ConnectionResetError (the client is gone); BrokenPipeError (after write_eof or close).
        """
        if self._is_closed:
            raise BrokenPipeError("written after the end")
        if data:
            self._pipe.write(data)
        await self._wait_freed(None)

    async def write_eof(self) -> None:
        """Say that no more will be written; reading goes on.  Once is enough, more does no harm."""
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(OSError):  # the peer is gone, and the task is about to be cancelled
                self._pipe.write_eof()

    def close(self) -> None:
        """End both directions once what was written is sent.  Returning from `Upgrade.run` does this too, gently."""
        self._is_closed = True
        self._pipe.close()
