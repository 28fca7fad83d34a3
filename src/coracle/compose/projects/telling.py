"""What happens to a project, told to who declared it: lines of JSON until the declaration is settled.

{"id": "Container demo-web-1", "text": "Started", "state": "done", "detail": ""}
{"end": {"exit_code": 0, "error": ""}}
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson

IN_USE = "Resource is still in use"
_STATES = {
    "Error": "error",
    IN_USE: "warning",
    **dict.fromkeys(
        ("Created", "Started", "Healthy", "Exited", "Recreated", "Running", "Stopped", "Removed", "Skipped"), "done"
    ),
}


def line(id: str, text: str, detail: str = "", state: str = "") -> dict[str, Any]:
    """One step of progress; what a word means for the state is Compose's."""
    return {"id": id, "text": text, "state": state or _STATES.get(text, "working"), "detail": detail}


def warning(words: str) -> dict[str, Any]:
    """About no one thing."""
    return line("", words, state="warning")


@dataclass
class Follower:
    """One who waits for the declaration `turn` to be settled.  `waits_for`: services that must come up (`--wait`)."""

    turn: int
    waits_for: tuple[str, ...] = ()
    said: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    errors: list[str] = field(default_factory=list)
    ended: bool = False

    def tell(self, said: dict[str, Any]) -> None:
        if not self.ended:
            self.said.put_nowait(said)

    def end(self, exit_code: int = 0, error: str = "") -> None:
        self.tell({"end": {"exit_code": exit_code, "error": error}})
        self.ended = True

    async def lines(self, timeout_s: float | None = None) -> AsyncIterator[bytes]:
        """Until the end; where it takes longer than `timeout_s`, that is the end."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    said = await self.said.get()
                    yield orjson.dumps(said) + b"\n"
                    if "end" in said:
                        return
        except TimeoutError:
            error = f"application not healthy after {timeout_s:g}s"
            yield orjson.dumps({"end": {"exit_code": 1, "error": error}}) + b"\n"
