"""HTTP over a socket of the cloud: what the clients of both doors begin with."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

from coracle.cli.failure import Failure

NOT_RUNNING = 3


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket.  Without `timeout_s` it waits without end: some answers take as long as work does."""

    def __init__(self, path: Path, timeout_s: float | None = None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextlib.contextmanager
def reaching(cloud: str) -> Iterator[None]:
    """Around a call.  Raises Failure where the cloud of this name does not answer, or not this user."""
    try:
        yield
    except (FileNotFoundError, ConnectionError) as error:
        raise Failure(f"cloud {cloud!r} is not running; start it with: sudo coracle up", NOT_RUNNING) from error
    except PermissionError as error:
        raise Failure("only root may ask the daemon; try: sudo coracle ...") from error
