"""A build's answer: what it says, no faster than the client takes it.

    {"stream": "Step 1/2 : FROM busybox\\n"}   {"aux": {"ID": "sha256:..."}}
    {"errorDetail": {"code": 1, "message": "..."}, "error": "..."}

Source: moby api/server/router/build; reference docker.md 1.2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from coracle.core.errors import CloudError
from coracle.docker import told
from coracle.docker.containers.wording import start_failure
from coracle.docker.told import Line, Told
from coracle.engine.builds.failure import CannotStart, StepFailed
from coracle.web.messages import Stream

AHEAD_LINES = 256


class Tell:
    """Where a build says what happens."""

    def __init__(self, lines: Told) -> None:
        self._lines = lines

    async def __call__(self, line: Line) -> None:
        """Say it, when the client has taken what was said before."""
        await self._lines.put(line)

    def hint(self, line: Line) -> None:
        """Say it, unless the client is far behind: for progress, which will soon be another."""
        with contextlib.suppress(asyncio.QueueFull):
            self._lines.put_nowait(line)


async def telling(work: Callable[[Tell], Awaitable[None]]) -> Stream:
    """An answer with everything that `work` tells.  Raises what `work` raises before it has told anything."""
    lines = Told(AHEAD_LINES)
    return await told.answer(lambda: work(Tell(lines)), lines, "build", _error_line)


def _error_line(error: CloudError) -> dict[str, Any]:
    line = told.error_line(start_failure(error.record, error) if isinstance(error, CannotStart) else error)
    code = {"code": error.code} if isinstance(error, StepFailed) else {}
    return {**line, "errorDetail": {**code, **line["errorDetail"]}}
