"""What a long work on images tells its client: JSON objects, one a line, as they happen.

    {"status": "Downloading", "id": "8f1a...", "progressDetail": {"current": 3, "total": 7}}
    {"errorDetail": {"message": "..."}, "error": "..."}

A failure before the first word becomes the answer's status; after it, the last line.
Source: moby pkg/jsonmessage, pkg/streamformatter; reference docker.md 1.3 (objects separated by CRLF).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from coracle.core.errors import CloudError, Forbidden, Unauthenticated
from coracle.docker.errors import message_of
from coracle.web.messages import Stream, dumps

Say = Callable[[Mapping[str, Any]], None]


async def telling(work: Callable[[Say], Awaitable[None]]) -> Stream:
    """An answer with everything that `work` says.  Raises what `work` raises before it has said anything, but for
    Unauthenticated, which becomes Forbidden: a client that is told 401 thinks it has to log in to us.
    """
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


async def _lines(work: Callable[[Say], Awaitable[None]]) -> AsyncIterator[bytes]:
    said: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
    failure: CloudError | None = None

    async def run() -> None:
        nonlocal failure
        try:
            await work(said.put_nowait)
        except CloudError as error:
            failure = error
        finally:
            said.put_nowait(None)

    has_spoken = False
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        try:
            while (line := await said.get()) is not None:
                has_spoken = True
                yield dumps(line) + b"\r\n"
        finally:
            task.cancel()
    if failure is not None:
        if not has_spoken:
            if isinstance(failure, Unauthenticated):
                raise Forbidden(str(failure)) from failure
            raise failure
        yield dumps(error_line(failure)) + b"\r\n"


def error_line(error: CloudError) -> dict[str, Any]:
    said = message_of(error)
    return {"errorDetail": {"message": said}, "error": said}


def bar(done: int, total: int, *, is_percent: bool = False) -> dict[str, Any]:
    """The state of a progress bar; a total of 0 is not known."""
    detail = {"current": done, "total": total} if total else {"current": done}
    return {**detail, "hidecounts": True} if is_percent and total else detail
