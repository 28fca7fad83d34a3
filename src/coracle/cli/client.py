"""HTTP to the daemon over its own socket: small, synchronous, quick to import."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

from coracle.cli.failure import Failure
from coracle.node.config import Settings

NOT_RUNNING = 3


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


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
        connection = _UnixConnection(str(self._settings.socket_path))
        data = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
        except (FileNotFoundError, ConnectionError) as error:
            said = f"cloud {self._settings.name!r} is not running; start it with: sudo coracle up"
            raise Failure(said, NOT_RUNNING) from error
        except PermissionError as error:
            raise Failure("only root may ask the daemon; try: sudo coracle ...") from error
        if response.status >= 400:
            raise Failure(json.loads(response.read()).get("message", f"HTTP {response.status}"))
        return response
