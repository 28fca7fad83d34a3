"""Long work that several want at once: done once, its progress told to all, its outcome shared.

Whoever comes first does the work within its own call; the others wait for the outcome, good or bad.  If the first gives
up (is cancelled), one of the waiting takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from coracle.core.errors import CloudError
from coracle.core.object import Object

# (what is being done, how much of it is done, how much there is to do; 0: not known).  From any thread.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the work: `done` of `total` (bytes, packages ...); `total` 0 where nobody knows."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class _Work:
    steps: dict[str, Step] = field(default_factory=dict)
    listeners: list[Progress] = field(default_factory=list)
    waiters: list[asyncio.Future[Object | None]] = field(default_factory=list)

    def report(self, name: str, done: int, total: int) -> None:
        self.steps[name] = Step(name, done, total)
        for listener in self.listeners:
            listener(name, done, total)

    def end(self, result: Object | None, error: CloudError | None = None) -> None:
        for waiter in self.waiters:
            if waiter.done():
                continue
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(result)


class Works:
    """What is being worked on, by name."""

    def __init__(self) -> None:
        self._works: dict[str, _Work] = {}
        self._busy = 0

    @property
    def idle(self) -> bool:
        return not self._works and not self._busy

    def steps(self, name: str) -> Sequence[Step]:
        work = self._works.get(name)
        return tuple(work.steps.values()) if work is not None else ()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Count something that has no name as work."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def share(
        self, name: str, do: Callable[[Progress], Awaitable[Object]], progress: Progress | None = None
    ) -> Object:
        """Do it, or wait for who does it already.  `progress` is told on the loop's thread."""
        while (work := self._works.get(name)) is not None:
            waiter: asyncio.Future[Object | None] = asyncio.get_running_loop().create_future()
            work.waiters.append(waiter)
            if progress is not None:
                work.listeners.append(progress)
            found = await waiter
            if found is not None:
                return found
        work = self._works[name] = _Work(listeners=[progress] if progress is not None else [])
        result: Object | None = None
        failure: CloudError | None = None
        try:
            result = await do(_threadsafe(work.report))
            return result
        except CloudError as error:
            failure = error
            raise
        finally:
            del self._works[name]
            work.end(result, failure)  # neither, when cancelled: the next one tries


def _threadsafe(report: Progress) -> Progress:
    loop = asyncio.get_running_loop()

    def tell(name: str, done: int, total: int) -> None:
        loop.call_soon_threadsafe(report, name, done, total)

    return tell
