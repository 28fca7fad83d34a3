"""What a long work (a build, a pull, a push) tells its client: JSON objects, one a line, as they happen.

    {"status": "Downloading", "id": "8f1a...", "progressDetail": {"current": 3, "total": 7}}
    {"errorDetail": {"message": "..."}, "error": "..."}

A failure before the first word becomes the answer's status; after it, the last line.  A client that goes away cancels
the work.
Source: moby pkg/jsonmessage, pkg/streamformatter (objects separated by CRLF).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from coracle.core.errors import Broken, CloudError
from coracle.docker.errors import message_of
from coracle.web.messages import Stream, dumps

log = logging.getLogger(__name__)

Line = Mapping[str, Any]
Told = asyncio.Queue[Line | None]  # None: that was all


def error_line(error: CloudError) -> Line:
    said = message_of(error)
    return {"errorDetail": {"message": said}, "error": said}


async def answer(
    work: Callable[[], Awaitable[None]], told: Told, name: str, worded: Callable[[CloudError], Line] = error_line
) -> Stream:
    """An answer with everything that `work` puts into `told`; how large that is says how far work may be ahead.

    Raises: what `work` raises before it has told anything; what is a mistake of ours as Broken.
    """
    lines = _lines(work, told, name, worded)
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


async def _lines(
    work: Callable[[], Awaitable[None]], told: Told, name: str, worded: Callable[[CloudError], Line]
) -> AsyncIterator[bytes]:
    failure: CloudError | None = None

    async def run() -> None:
        nonlocal failure
        try:
            await work()
        except CloudError as error:
            failure = error
        except Exception:  # the answer may have begun: nobody above could tell the client any more
            log.exception("a %s broke off", name)
            failure = Broken(f"the {name} broke off: internal error")
        await told.put(None)

    has_spoken = False
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(), name=name)
        try:
            while (line := await told.get()) is not None:
                has_spoken = True
                yield dumps(line) + b"\r\n"
        finally:
            task.cancel()
    if failure is not None:
        if not has_spoken:
            raise failure
        yield dumps(worded(failure)) + b"\r\n"
