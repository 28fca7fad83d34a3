"""Docker's API, asked from inside the daemon: the door's own handler, without a socket.

What is made this way cannot be told from what a client made over the socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from coracle.core.errors import Broken, Conflict
from coracle.web.messages import Handler, Request, Response

AGENT = "coracle-projects"
_REFUSED = 400


class Refused(Conflict):
    """Docker's side said no: its message, and the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Asking:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def call(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """The decoded answer; None where it has no body.  `body`: JSON, or bytes as they are.

        Raises: Refused.
        """
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        headers = {"user-agent": AGENT}
        if data:
            kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
            headers |= {"content-type": kind, "content-length": str(len(data))}
        asked = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        answer = await self._handler(Request(method, f"{path}?{urlencode(asked)}" if asked else path, headers, data))
        if not isinstance(answer, Response):
            raise Broken(f"{method} {path} does not answer in one piece")
        whole = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        found = orjson.loads(whole) if whole else None
        if answer.status >= _REFUSED:
            raise Refused(str((found or {}).get("message") or answer.status), answer.status)
        return found

    async def find(self, path: str) -> Any:
        """The answer to a GET, None where there is no such thing."""
        try:
            return await self.call("GET", path)
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def path(*segments: str) -> str:
    """`/images/a%2Fb/json`: each segment quoted."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)
