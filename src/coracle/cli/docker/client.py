"""Docker's API over the socket of the chosen cloud.

docker = Docker.of(settings)
docker.call("GET", "/containers/json", {"all": True, "filters": {"label": ["com.docker.compose.project=demo"]}})
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

import click

from coracle.cli.cloud import chosen
from coracle.cli.failure import Failure
from coracle.cli.unix import UnixConnection, reaching
from coracle.node.config import Settings

AGENT = "coracle-compose"
Query = Mapping[str, Any]


class Refused(Failure):
    """Docker's side said no: its message, and the HTTP status (200: in the middle of a stream)."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    def show(self, file: object = None) -> None:
        click.echo(f"Error response from daemon: {self.message}", err=True)


class _Unbuffered(http.client.HTTPResponse):
    """An answer whose head is read and not one byte more: what follows is read from the socket itself."""

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None):
        super().__init__(sock, debuglevel, method, url)
        self.fp = cast(BufferedReader, sock.makefile("rb", buffering=0))


class Docker:
    """Calls of one cloud's Docker door.  Every call raises Refused, or Failure where the cloud does not answer.

    Each call has a connection of its own: threads may share a Docker.
    In a query None is left out, a truth value is 0 or 1, lists and dicts are JSON, a tuple is said several times.
    """

    def __init__(self, socket_path: Path, cloud: str) -> None:
        self._path, self._cloud = socket_path, cloud

    @classmethod
    def of(cls, settings: Settings) -> Docker:
        return cls(settings.docker_socket_path, settings.name)

    @classmethod
    def chosen(cls) -> Docker:
        """Of the cloud that the command line of this moment is about (`--root`, `--name`)."""
        return cls.of(chosen())

    def call(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Any:
        """The decoded answer; None where it has no body."""
        with self.read(method, path, query, body) as response:
            return json.loads(response.read() or b"null")

    def stream_json(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Iterator[Any]:
        """The answer's lines, decoded, as they come.  A line with `error` is raised as Refused."""
        with self.read(method, path, query, body) as response:
            yield from json_lines(response)

    def read(self, method: str, path: str, query: Query | None = None, body: Any = None) -> http.client.HTTPResponse:
        """The answer, to be read by the caller (and closed): logs, archives."""
        data = None if body is None else json.dumps(body).encode()
        return self._answer(method, path, query, data, {"Content-Type": "application/json"} if data else {})

    def send(
        self,
        method: str,
        path: str,
        query: Query | None,
        pieces: Iterable[bytes],
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Send an archive in pieces of whatever number; the answer, to be read by the caller (and closed)."""
        return self._answer(method, path, query, pieces, {"Content-Type": "application/x-tar", **(headers or {})})

    def hijack(self, path: str, query: Query | None = None, body: Any = None) -> Hijacked:
        """POST, and take the connection over: from then on it carries what goes into and comes out of a container."""
        data = json.dumps(body or {}).encode()
        headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "tcp"}
        connection = UnixConnection(self._path)
        connection.response_class = _Unbuffered
        with reaching(self._cloud):
            connection.request("POST", _target(path, query), data, {"User-Agent": AGENT, **headers})
            taken = connection.sock.dup()
            response = connection.getresponse()
        if response.status >= 400:
            taken.close()
            raise _refusal(response)
        multiplexed = "multiplexed" in response.headers.get("Content-Type", "")
        response.close()
        return Hijacked(taken, multiplexed=multiplexed)

    def _answer(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: bytes | Iterable[bytes] | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        connection = UnixConnection(self._path)
        chunked = body is not None and not isinstance(body, bytes)
        more = {"Transfer-Encoding": "chunked"} if chunked else {}
        with reaching(self._cloud):
            try:
                target = _target(path, query)
                connection.request(
                    method, target, body, {"User-Agent": AGENT, **headers, **more}, encode_chunked=chunked
                )
            except BrokenPipeError:
                pass  # it does not want the rest; the answer says why
            response = connection.getresponse()
        if response.status >= 400:
            raise _refusal(response)
        return response


class Hijacked:
    """A connection that has been taken over.  `multiplexed`: what comes is framed (wire/stdcopy), else raw."""

    def __init__(self, sock: socket.socket, *, multiplexed: bool) -> None:
        self.socket, self.multiplexed = sock, multiplexed

    def end_input(self) -> None:
        """Nothing more goes in; what comes out goes on."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Hijacked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def json_lines(response: Iterable[bytes]) -> Iterator[Any]:
    """The lines of an answer, decoded.  Raises Refused for a line that has `error`."""
    for line in response:
        if not line.strip():
            continue
        said = json.loads(line)
        if isinstance(said, dict) and said.get("error"):
            raise Refused(str(said["error"]), 200)
        yield said


def _target(path: str, query: Query | None) -> str:
    """The request's target; `path` may have characters that a path must not."""
    words = [
        (name, _word(one))
        for name, value in (query or {}).items()
        for one in (value if isinstance(value, tuple) else (value,))
        if one is not None
    ]
    return quote(path, safe="/:@!$&'()*+,;=~%") + (f"?{urlencode(words)}" if words else "")


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _refusal(response: http.client.HTTPResponse) -> Refused:
    with response:
        said = response.read()
    try:
        message = json.loads(said)["message"]
    except (ValueError, KeyError, TypeError):
        message = said.decode(errors="replace").strip() or f"HTTP {response.status}"
    return Refused(str(message), response.status)
