"""An event loop whose time jumps to the next timer when nothing else is to be done: 60 s pass in a millisecond.

Blocking calls in threads (`core.tasks.offload`) hold the clock; sockets do not: only for tests without real I/O waits.
Source: Trio's `autojump_clock`; kopf's looptime.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting for a timer, moves the clock to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.calls = 0  # in threads, being waited for

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.calls:
            return super().select(None)  # only something outside can wake us
        self.now_s += timeout
        return []


class AutojumpLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
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
