"""An event loop whose time jumps to the next timer when nothing else is to be done: 60 s pass in a millisecond.

Blocking calls in threads (`core.tasks.offload`) hold the clock; sockets do not: only for tests without real I/O waits.
A test that would hang fails: where nothing can happen any more, and where something never rests.
Source: Trio's `autojump_clock`; kopf's looptime.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


PATIENCE_S = 120.0  # of real time, for threads and what else is outside
MOST_TURNS = 1_000_000  # of the loop at one moment: some ten seconds of real time


class Stuck(RuntimeError):
    """The test would go on for ever."""


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting for a timer, moves the clock to it."""

    def __init__(self, patience_s: float, most_turns: int) -> None:
        super().__init__()
        self.now_s = 0.0
        self.calls = 0  # in threads, being waited for
        self._patience_s, self._most_turns, self._turns = patience_s, most_turns, 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            self._turns += 1
            if self._turns % self._most_turns == 0:
                raise Stuck(f"{self._most_turns} turns at one moment: something never rests")
            return ready
        self._turns = 0
        if timeout is None or self.calls:
            return self._wait_outside()
        self.now_s += timeout
        return []

    def _wait_outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(self._patience_s)
        if not ready:
            raise Stuck(f"nothing has happened for {self._patience_s:g} s, and no timer is set")
        return ready


class AutojumpLoop(asyncio.SelectorEventLoop):
    def __init__(self, patience_s: float = PATIENCE_S, most_turns: int = MOST_TURNS) -> None:
        self._jumping = _JumpingSelector(patience_s, most_turns)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._jumping.calls += 1
        future.add_done_callback(self._returned)
        return future

    def _returned(self, _call: asyncio.Future[Any]) -> None:
        self._jumping.calls -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on virtual time."""
    with asyncio.Runner(loop_factory=AutojumpLoop) as runner:
        return runner.run(main)
