"""Who is attached to a container's own program, or waits to be when it starts.

Docker's client attaches before it starts, and must not miss a byte; so who asks is written down at once, and connected
while the program waits for its start:

    expect  ->  runtime.create  ->  connect  ->  runtime.start
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

from coracle.core.errors import CloudError, NotFound
from coracle.runtime.api import Streams


class Attachment:
    """A place among those attached to one container.  Leave it with `close`, or use it as a context manager."""

    def __init__(self, attachments: Attachments, id: str, waiter: asyncio.Future[Streams], *, live: bool) -> None:
        self._attachments, self._id, self._waiter, self._live = attachments, id, waiter, live

    async def streams(self) -> Streams:
        """The program's streams, at its next start where it does not run; the same ones at every call.

        Raises: NotFound (removed meanwhile), Conflict (it has just ended), and what its start raised.
        """
        await self.join()
        return await self._waiter

    async def join(self) -> None:
        """Connect with the program where it runs already; `streams` says what came of it."""
        if self._live and not self._waiter.done():
            await self._attachments.serve(self._id, self._waiter)

    def close(self) -> None:
        """Stop waiting, and let the streams go; the program goes on.  Idempotent."""
        if not self._waiter.cancel() and not self._waiter.cancelled() and self._waiter.exception() is None:
            self._waiter.result().close()

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Attachments:
    """Those who wait, by container id; `join` is the runtime's `attach`."""

    def __init__(self, join: Callable[[str], Awaitable[Streams]]) -> None:
        self._join = join
        self._waiters: dict[str, set[asyncio.Future[Streams]]] = {}
        self._starting: set[str] = set()

    def expect(self, id: str, *, live: bool) -> Attachment:
        """A place, from now on.  `live`: the program runs already."""
        waiter: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(id, set()).add(waiter)
        waiter.add_done_callback(lambda done: self._drop(id, done))
        return Attachment(self, id, waiter, live=live or id in self._starting)

    async def connect(self, id: str) -> None:
        """Give everybody who waits their streams; one's trouble is not the others'.  Cancelled, the rest wait on."""
        while waiters := self._waiters.get(id):
            await self.serve(id, next(iter(waiters)))

    async def serve(self, id: str, waiter: asyncio.Future[Streams]) -> None:
        """The same for one."""
        try:
            streams = await self._join(id)
            if waiter.done():
                streams.close()
            else:
                waiter.set_result(streams)
        except CloudError as error:
            if not waiter.done():
                waiter.set_exception(error)
        self._forget(id, waiter)

    @contextlib.asynccontextmanager
    async def connecting(self, id: str) -> AsyncIterator[None]:
        """Around the start of its program: who waits has streams when the body begins, who comes meanwhile at once."""
        try:
            self._starting.add(id)
            await self.connect(id)
            yield
        finally:
            self._starting.discard(id)

    def fail(self, id: str, error: CloudError) -> None:
        """It could not be started."""
        for waiter in self._waiters.pop(id, set()):
            if not waiter.done():
                waiter.set_exception(error)

    def forget(self, id: str) -> None:
        """It is gone."""
        self.fail(id, NotFound(kind="Container", name=id))

    def __len__(self) -> int:
        return sum(len(waiters) for waiters in self._waiters.values())

    def _drop(self, id: str, waiter: asyncio.Future[Streams]) -> None:
        if not waiter.cancelled():
            waiter.exception()  # looked at: nobody may wait any more
        self._forget(id, waiter)

    def _forget(self, id: str, waiter: asyncio.Future[Streams]) -> None:
        waiters = self._waiters.get(id, set())
        waiters.discard(waiter)
        if not waiters:
            self._waiters.pop(id, None)
