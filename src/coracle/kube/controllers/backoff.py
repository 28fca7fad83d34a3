"""How long to wait before doing the same thing again for the same key."""

from __future__ import annotations

from collections.abc import Hashable


class Backoff:
    """At once the first time, then after `first_s`, doubling to `longest_s`; forgotten after twice that.

    In memory only: after a restart everything may be tried at once.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._tries: dict[Hashable, tuple[int, float]] = {}

    def wait_s(self, key: Hashable, now_s: float) -> float:
        """How long to wait still; 0 means now, and counts as a try."""
        times, last_s = self._tries.get(key, (0, 0.0))
        if times and now_s - last_s > 2 * self._longest_s:
            times = 0
        delay_s = min(self._first_s * float(2 ** min(times - 1, 30)), self._longest_s) if times else 0.0
        if times and now_s < last_s + delay_s:
            return last_s + delay_s - now_s
        self._forget_old(now_s)
        self._tries[key] = (times + 1, now_s)
        return 0.0

    def _forget_old(self, now_s: float) -> None:
        self._tries = {
            key: (times, last_s)
            for key, (times, last_s) in self._tries.items()
            if now_s - last_s <= 2 * self._longest_s
        }
