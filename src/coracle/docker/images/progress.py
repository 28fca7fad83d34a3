"""What a long work on images tells its client (docker.told).

    {"status": "Downloading", "id": "8f1a...", "progressDetail": {"current": 3, "total": 7}}

Source: moby pkg/jsonmessage; reference docker.md 1.3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from coracle.core.errors import Forbidden, Unauthenticated
from coracle.docker import told
from coracle.docker.told import Line, Told
from coracle.web.messages import Stream

Say = Callable[[Line], None]


async def telling(work: Callable[[Say], Awaitable[None]]) -> Stream:
    """An answer with everything that `work` says.  Raises what `work` raises before it has said anything, but for
    Unauthenticated, which becomes Forbidden: a client that is told 401 thinks it has to log in to us.
    """
    lines = Told()
    try:
        return await told.answer(lambda: work(lines.put_nowait), lines, "work on images")
    except Unauthenticated as error:
        raise Forbidden(str(error)) from error


def bar(done: int, total: int, *, is_percent: bool = False) -> dict[str, Any]:
    """The state of a progress bar; a total of 0 is not known."""
    detail = {"current": done, "total": total} if total else {"current": done}
    return {**detail, "hidecounts": True} if is_percent and total else detail
