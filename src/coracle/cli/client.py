"""HTTP to the daemon over its own socket: small, synchronous, quick to import."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

from coracle.cli.failure import Failure
from coracle.cli.unix import UnixConnection, reaching
from coracle.node.config import Settings

TIMEOUT_S = 600


class Client:
    """Calls of one cloud's daemon.  Every call raises Failure with what the daemon said, or that it does not run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer."""
        return json.loads(self._request(method, path, body).read() or b"null")

    def stream(self, method: str, path: str, body: Any = None) -> Iterator[Any]:
        """The answer's lines, decoded, as they come."""
        for line in self._request(method, path, body):
            said = json.loads(line)
            if "error" in said:
                raise Failure(said["error"])
            yield said

    def _request(self, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        connection = UnixConnection(self._settings.socket_path, TIMEOUT_S)
        data = None if body is None else json.dumps(body).encode()
        with reaching(self._settings.name):
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
        if response.status >= 400:
            raise Failure(json.loads(response.read()).get("message", f"HTTP {response.status}"))
        return response
