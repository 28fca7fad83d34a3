"""Changes that belong together: an editor writes several files, and each several times; git writes thousands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

QUIET_S = 0.2
"""A burst is over when nothing has changed for so long."""
LONGEST_S = 2.0
"""It is taken up then even where changes go on."""


@dataclass
class Burst:
    """Times are those of one monotonic clock, in seconds."""

    _paths: set[str] = field(default_factory=set)
    _begun_s: float = 0.0
    _last_s: float = 0.0

    def add(self, paths: Iterable[str], now_s: float) -> None:
        more = set(paths)
        if more and not self._paths:
            self._begun_s = now_s
        if more:
            self._last_s = now_s
        self._paths |= more

    def wait_s(self, now_s: float) -> float | None:
        """How long to wait for more; None where there is nothing yet, 0 where it is over."""
        if not self._paths:
            return None
        return max(0.0, min(self._last_s + QUIET_S, self._begun_s + LONGEST_S) - now_s)

    def take(self) -> set[str]:
        """All of it; a new one begins."""
        taken, self._paths = self._paths, set()
        return taken
