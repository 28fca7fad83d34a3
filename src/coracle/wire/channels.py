"""kubectl's streams over WebSocket: one message is one piece of one channel, whose number is its first byte.

    0 stdin  1 stdout  2 stderr  3 the end, as a Status in JSON  4 the terminal's size  255 (v5) a channel is closed

In text (`base64`) the channel is a digit, and the rest of the message base64.  Bytes in, events out; no I/O.
Source: Kubernetes, KEP-4006; client-go `tools/remotecommand` (v4.channel.k8s.io, v5.channel.k8s.io); apiserver's
util/wsstream (the others).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

PROTOCOLS = (
    "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io",
)  # fmt: skip
PLAIN = PROTOCOLS[-2:]  # the first of them: no Status at the end, but words where it has failed

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


@dataclass(frozen=True, slots=True)
class Input:
    """Bytes for the program's standard input."""

    data: bytes


@dataclass(frozen=True, slots=True)
class InputEnds:
    """The client has no more input; only v5 can say so."""


@dataclass(frozen=True, slots=True)
class Size:
    """The client's terminal now has this size, in characters."""

    columns: int
    rows: int


Event = Input | InputEnds | Size


def read(message: bytes | str) -> Event | None:
    """What a message of the client says; None where it says nothing that is known or sensible."""
    data = message.encode() if isinstance(message, str) else message
    if not data:
        return None
    channel, rest = data[0], data[1:]
    if channel == STDIN:
        return Input(rest)
    if channel == CLOSE:
        return InputEnds() if rest == bytes((STDIN,)) else None
    return _size(rest) if channel == RESIZE else None


def in_text(protocol: str) -> bool:
    """Whether messages of that protocol are text."""
    return "base64" in protocol


def encoded(message: bytes) -> str:
    return f"{message[0]}{base64.b64encode(message[1:]).decode()}"


def decoded(message: bytes | str) -> bytes:
    """b"" where it is none."""
    text = message if isinstance(message, str) else message.decode("latin-1")
    try:
        return bytes((int(text[:1]),)) + base64.b64decode(text[1:], validate=True)
    except (binascii.Error, ValueError):
        return b""


def output(channel: int, data: bytes) -> bytes:
    """A message with what the program wrote on STDOUT or STDERR."""
    return bytes((channel,)) + data


def in_words(message: bytes) -> bytes | None:
    """What a client of PLAIN is sent in place of a last message; None: nothing."""
    status = json.loads(message[1:])
    return bytes((ERROR,)) + status["message"].encode() if status["status"] == "Failure" else None


def ended(exit_code: int) -> bytes:
    """The last message: the program has ended."""
    if exit_code == 0:
        return _status({"metadata": {}, "status": "Success"})
    return _status(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {exit_code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
        }
    )


def failed(message: str, reason: str = "InternalError", code: int = 500) -> bytes:
    """The last message: it could not be run."""
    return _status({"metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})


def _status(status: dict[str, Any]) -> bytes:
    return bytes((ERROR,)) + json.dumps(status).encode()


def _size(data: bytes) -> Size | None:
    try:
        doc = json.loads(data)
        columns, rows = int(doc["Width"]), int(doc["Height"])
    except (ValueError, KeyError, TypeError):
        return None
    return Size(columns, rows) if 0 < columns < 65536 and 0 < rows < 65536 else None
