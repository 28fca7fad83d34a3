"""Parts that start in order and end in reverse; blocking calls off the loop.

A Part says `up()` once others may rely on it, then runs until it is cancelled (Trio's `task_status.started`).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from coracle.core.errors import Unavailable

T = TypeVar("T")

_threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="offload")


class Part(Protocol):
    async def run(self, up: Callable[[], None]) -> None:
        """Work until cancelled; call `up` once when others may rely on this part.  Returning early is a failure."""
        ...


class PartEnded(RuntimeError):
    """A part returned although it should run until it is cancelled."""


class Tasks:
    """A Part in which others begin tasks while it runs; they are cancelled with it."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None

    @property
    def running(self) -> bool:
        return self._group is not None

    async def run(self, up: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                up()
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    def begin(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """What `work` raises ends the Part, unless it is cancelled.  Raises Unavailable where this does not run."""
        if self._group is None:
            work.close()
            raise Unavailable("the daemon is shutting down")
        return self._group.create_task(work, name=name)


async def offload(call: Callable[..., T], *arguments: object) -> T:
    """Run a blocking call in a thread.  Cancelling abandons the wait, not the call."""
    return await asyncio.get_running_loop().run_in_executor(_threads, call, *arguments)


async def offload_apart(call: Callable[..., T], *arguments: object) -> T:
    """As `offload`, in a thread of its own: for calls that wait for a client, and may do so for long."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            done.set_result(call(*arguments))
        except Exception as error:  # it goes to who waits
            done.set_exception(error)

    done.set_running_or_notify_cancel()
    threading.Thread(target=work, name="apart", daemon=True).start()
    return await asyncio.wrap_future(done)


@contextlib.asynccontextmanager
async def opened(call: Callable[..., contextlib.AbstractContextManager[T]], *arguments: object) -> AsyncIterator[T]:
    """What `call` opens in a thread, for the time of the body; closed also where the wait for it was given up."""
    opening = _threads.submit(call, *arguments)
    try:
        thing = await asyncio.wrap_future(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unseen)
        raise
    with thing as entered:
        yield entered


def _close_unseen(opening: concurrent.futures.Future[contextlib.AbstractContextManager[T]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        with opening.result():
            pass


@contextlib.asynccontextmanager
async def running(part: Part) -> AsyncIterator[None]:
    """Run `part` beside the body, from the moment it is up until the body ends.

    A part that fails, before or after it is up, ends the body and raises from here.
    """
    started = asyncio.Event()

    async def main() -> None:
        await part.run(started.set)
        raise PartEnded(f"{type(part).__name__} ended")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(main(), name=type(part).__name__)
        await started.wait()
        try:
            yield
        finally:
            task.cancel()


async def run_parts(parts: Sequence[Part], up: Callable[[], None]) -> None:
    """Start the parts one after another, say `up`, run until cancelled, end them in reverse order."""
    async with contextlib.AsyncExitStack() as stack:
        for part in parts:
            await stack.enter_async_context(running(part))
        up()
        await asyncio.get_running_loop().create_future()
