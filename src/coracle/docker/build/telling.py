"""A build's answer: JSON objects, one a line, as they happen; no faster than the client takes them.

    {"stream": "Step 1/2 : FROM busybox\\n"}   {"aux": {"ID": "sha256:..."}}
    {"errorDetail": {"code": 1, "message": "..."}, "error": "..."}

A failure before the first word becomes the answer's status; after it, the last line.
Source: moby api/server/router/build, pkg/jsonmessage; reference docker.md 1.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from coracle.core.errors import Broken, CloudError
from coracle.docker.containers.wording import start_failure
from coracle.docker.errors import message_of
from coracle.engine.builds.failure import CannotStart, StepFailed
from coracle.web.messages import Stream, dumps

log = logging.getLogger(__name__)

AHEAD_LINES = 256


class Tell:
    """Where a build says what happens."""

    def __init__(self, lines: asyncio.Queue[Mapping[str, Any] | None]) -> None:
        self._lines = lines

    async def __call__(self, line: Mapping[str, Any]) -> None:
        """Say it, when the client has taken what was said before."""
        await self._lines.put(line)

    def hint(self, line: Mapping[str, Any]) -> None:
        """Say it, unless the client is far behind: for progress, which will soon be another."""
        with contextlib.suppress(asyncio.QueueFull):
            self._lines.put_nowait(line)


async def telling(work: Callable[[Tell], Awaitable[None]]) -> Stream:
    """An answer with everything that `work` tells.  Raises what `work` raises before it has told anything."""
    lines = _lines(work)
    try:
        first = await anext(lines)
    except StopAsyncIteration:
        first = b""
    return Stream(200, _all(first, lines))


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for line in rest:
        yield line


async def _lines(work: Callable[[Tell], Awaitable[None]]) -> AsyncIterator[bytes]:
    told: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue(AHEAD_LINES)
    failure: CloudError | None = None

    async def run() -> None:
        nonlocal failure
        try:
            await work(Tell(told))
        except CloudError as error:
            failure = error
        except Exception:  # the answer has begun: nobody above can tell the client any more
            log.exception("a build broke off")
            failure = Broken("the build broke off: internal error")
        await told.put(None)

    has_spoken = False
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(), name="build")
        try:
            while (line := await told.get()) is not None:
                has_spoken = True
                yield dumps(line) + b"\r\n"
        finally:
            task.cancel()
    if failure is not None:
        if not has_spoken:
            raise failure
        yield dumps(error_line(failure)) + b"\r\n"


def error_line(error: CloudError) -> dict[str, Any]:
    said = message_of(start_failure(error.record, error) if isinstance(error, CannotStart) else error)
    code = {"code": error.code} if isinstance(error, StepFailed) else {}
    return {"errorDetail": {**code, "message": said}, "error": said}
