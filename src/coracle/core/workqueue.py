"""Keys to work on: each once, never two at a time for one key, again with growing delays after a failure.

Three sets, as client-go's queue.  Played out with one worker:

    add a, add a, add b     waiting [a, b]   busy {}
    take -> a               waiting [b]      busy {a}
    add a                   waiting [b]      busy {a}   dirty {a}     (not handed out twice at once)
    done a                  waiting [b, a]   busy {}    dirty {}
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_DELAY_S = 0.005
LONGEST_DELAY_S = 60.0


class Workqueue(Generic[K]):
    """A queue of keys for any number of workers on one loop."""

    def __init__(self) -> None:
        self._waiting: deque[K] = deque()
        self._queued: set[K] = set()
        self._busy: set[K] = set()
        self._dirty: set[K] = set()
        self._failures: dict[K, int] = {}
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._takers: deque[asyncio.Future[None]] = deque()

    def add(self, key: K) -> None:
        """Work on `key` soon."""
        if key in self._busy:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.append(key)
            self._wake()

    def add_after(self, key: K, delay_s: float) -> None:
        """Work on `key` after a while; an earlier wish for the same key stands."""
        if delay_s <= 0:
            self.add(key)
            return
        at = asyncio.get_running_loop().time() + delay_s
        if at >= self._due.get(key, float("inf")):
            return
        self._due[key] = at
        self._count += 1
        heapq.heappush(self._later, (at, self._count, key))
        self._arm()

    def add_failed(self, key: K) -> float:
        """Work on `key` again after its delay, which doubles each time.  Returns the delay (seconds)."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s: float = min(FIRST_DELAY_S * 2 ** min(failures, 30), LONGEST_DELAY_S)
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: K) -> None:
        """It went well: its next failure starts at the first delay."""
        self._failures.pop(key, None)

    async def take(self) -> K:
        """The next key; the taker says `done` when it has finished."""
        while not self._waiting:
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            await taker
        key = self._waiting.popleft()
        self._queued.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: K) -> None:
        self._busy.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def __len__(self) -> int:
        return len(self._waiting)

    def _wake(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._later[0][0], self._ripen) if self._later else None

    def _ripen(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now:
            at, _, key = heapq.heappop(self._later)
            if self._due.get(key) == at:
                del self._due[key]
                self.add(key)
        self._timer = None
        self._arm()
