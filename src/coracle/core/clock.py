"""Time, by name: the only module that asks the operating system what time it is.

Everything else is handed a `Clock`.  Tests pass a `LoopClock` on a loop with virtual time (`coracle.testing.autojump`).
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """`now_s` is seconds since 1970 (UTC), may jump; `monotonic_s` only grows and counts no particular seconds."""

    def now_s(self) -> float: ...
    def monotonic_s(self) -> float: ...
    async def sleep(self, delay_s: float) -> None: ...


class SystemClock:
    def now_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class LoopClock:
    """The running loop's time, starting at `epoch_s`: under virtual time it advances only when everything waits."""

    def __init__(self, epoch_s: float = 1_700_000_000.0) -> None:
        self._epoch_s = epoch_s

    def now_s(self) -> float:
        return self._epoch_s + asyncio.get_running_loop().time()

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


def rfc3339(at_s: float) -> str:
    """`2026-11-23T09:00:00Z`: whole seconds, as metav1.Time is written."""
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(at_s: float) -> str:
    """`2026-11-23T09:00:00.123456Z`, as metav1.MicroTime is written."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_rfc3339(text: str) -> float:
    """Seconds since 1970.  Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
