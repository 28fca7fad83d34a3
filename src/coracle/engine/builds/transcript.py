"""What a build says, kept readable while stages are built at once: as if they had been built one after the other.

The unfinished stage that comes first in the file speaks at once; what the others say is held back until it is their
turn.  A stage that has said much ahead of its turn waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

AHEAD_CHARACTERS = 1 << 20

Send = Callable[[str], Awaitable[None]]


class Channel:
    """One stage's voice."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self.held: list[str] = []
        self._held_characters = 0
        self.turn = asyncio.Event()
        self.is_open = True

    async def say(self, text: str) -> None:
        if self.turn.is_set():
            await self._transcript.send(text)
            return
        self.held.append(text)
        self._held_characters += len(text)
        if self._held_characters > AHEAD_CHARACTERS:
            await self.turn.wait()
            await self.release()

    async def release(self) -> None:
        """Say what was held back."""
        held, self.held = self.held, []
        for text in held:
            await self._transcript.send(text)

    async def close(self) -> None:
        """It has nothing more to say."""
        self.is_open = False
        await self._transcript.advance()


class Transcript:
    def __init__(self, send: Send) -> None:
        self.send = send
        self._channels: dict[int, Channel] = {}
        self._turns = asyncio.Lock()

    def open(self, order: int) -> Channel:
        """A channel; those that are opened before anybody speaks take turns in their order."""
        return self._channels.setdefault(order, Channel(self))

    async def advance(self) -> None:
        """Give the word to the first that is open; those before it have said all."""
        async with self._turns:
            for order in sorted(self._channels):
                channel = self._channels[order]
                await channel.release()
                if channel.is_open:
                    channel.turn.set()
                    await channel.release()  # what was said while we were sending
                    return
                del self._channels[order]
