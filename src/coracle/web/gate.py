"""Who is inside: the open connections of one server, counted from accept to close, TLS handshakes included."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Guest(Protocol):
    def finish(self) -> None: ...


class Gate:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._guests: dict[asyncio.Transport, Guest | None] = {}
        self._empty: asyncio.Future[None] | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._guests)

    def enter(self, transport: asyncio.Transport) -> bool:
        """False where there is no room: the caller closes the transport and does not `leave`."""
        if self._is_closed or len(self._guests) >= self._limit:
            return False
        self._guests[transport] = None
        return True

    def know(self, transport: asyncio.Transport, guest: Guest) -> None:
        """From now on `guest` is who is told to finish; before, the transport would be aborted."""
        if transport in self._guests:
            self._guests[transport] = guest

    def leave(self, transport: asyncio.Transport) -> None:
        self._guests.pop(transport, None)
        if not self._guests and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def close(self, grace_s: float) -> None:
        """Let nobody in any more, tell all to finish, wait for them, and abort those that have not."""
        self._is_closed = True
        for transport, guest in tuple(self._guests.items()):
            if guest is None:
                transport.abort()
            else:
                guest.finish()
        self._empty = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(grace_s):
                if self._guests:
                    await self._empty
        except TimeoutError:
            pass  # they were asked
        finally:
            for transport in tuple(self._guests):
                transport.abort()
