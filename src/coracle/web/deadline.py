"""One deadline that moves often: a request moves its connection's twice, and a timer each time would cost more.

The timer is left where it is when the deadline moves away; firing early, it looks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `expire` once when the time is up, unless it was moved or lifted meanwhile."""

    __slots__ = ("_at", "_expire", "_loop", "_timer")

    def __init__(self, expire: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._expire = expire
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._at is not None

    def set(self, delay_s: float) -> None:
        self._at = at = self._loop.time() + delay_s
        timer = self._timer
        if timer is None or timer.when() > at:
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(at, self._look)

    def lift(self) -> None:
        self._at = None

    def close(self) -> None:
        """Lift it for good: nothing of it stays with the loop, and it forgets whom to call."""
        self._at = None
        self._expire = _nothing
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._look)
            return
        self._at = None
        self._expire()


def _nothing() -> None:
    pass
