"""Parts that can be ended and begun again while everything else runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from coracle.core.tasks import Part, running


class Switch:
    """Whether its parts run.  On at first."""

    def __init__(self) -> None:
        self.is_on = True
        self._parts, self._up = 0, 0
        self._changed = asyncio.Condition()

    def part(self, part: Part) -> Part:
        """`part`, run anew each time this is turned on."""
        self._parts += 1
        return _Switched(part, self)

    async def turn(self, *, on: bool) -> None:
        """Returns once all parts are up, or have ended."""
        async with self._changed:
            self.is_on = on
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self.is_on is not on or self._up == (self._parts if on else 0))

    async def until(self, *, on: bool) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_on is on)

    async def count(self, more: int) -> None:
        """So many more parts are up."""
        async with self._changed:
            self._up += more
            self._changed.notify_all()


class _Switched:
    """A Part; up for those who come after it also while it is off."""

    def __init__(self, part: Part, switch: Switch) -> None:
        self._part, self._switch = part, switch

    async def run(self, up: Callable[[], None]) -> None:
        while True:
            async with running(self._part):
                up()
                await self._switch.count(1)
                await self._switch.until(on=False)
            await self._switch.count(-1)
            await self._switch.until(on=True)
