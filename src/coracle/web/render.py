"""Answers to bytes: heads and framing, without I/O."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus

from coracle.core.clock import Clock
from coracle.web.messages import Request, Response, Stream, Upgrade

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"  # said to HTTP/1.0 only, where it is not the rule
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GROUP_BYTES = 128 * 1024  # of a large body, given to the transport at once
BODILESS = frozenset({204, 304})

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {101: "UPGRADED"}  # as dockerd words it
_FORBIDDEN = re.compile(r"[\r\n\0]")


class Stamp:
    """The `Date:` line, made anew once a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._second, self._line = clock, -1, b""

    def line(self) -> bytes:
        second = int(self._clock.now_s())
        if second != self._second:
            self._second = second
            self._line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
        return self._line


@functools.lru_cache(maxsize=256)
def status_line(status: int, content_type: str) -> bytes:
    """`HTTP/1.1 200 OK` and the content type, where there is one."""
    if _FORBIDDEN.search(content_type):
        raise ValueError(f"content type {content_type!r} would split the answer")
    type_line = f"Content-Type: {content_type}\r\n" if content_type and status not in BODILESS else ""
    return f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\n{type_line}".encode("latin-1")


def render_headers(headers: Mapping[str, str]) -> bytes:
    """Header lines.  Raises ValueError where a name or value would split the answer."""
    lines = []
    for name, value in headers.items():
        if _FORBIDDEN.search(value) or _FORBIDDEN.search(name) or ":" in name or not name:
            raise ValueError(f"header {name!r}: {value!r} would split the answer")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def response_head(request: Request, answer: Response, size_bytes: int, date_line: bytes, *, keep: bool) -> bytes:
    """The head of a Response whose body has `size_bytes`."""
    head = status_line(answer.status, answer.content_type) + date_line
    if answer.headers:
        head += render_headers(answer.headers)
    if answer.status not in BODILESS and not (request.method == "HEAD" and _has_length(answer)):
        head += b"Content-Length: %d\r\n" % size_bytes
    return head + _persistence(request, keep)


def stream_head(request: Request, answer: Stream, date_line: bytes, *, keep: bool) -> bytes:
    head = status_line(answer.status, answer.content_type) + date_line + render_headers(answer.headers)
    if answer.length_bytes is not None:
        head += b"Content-Length: %d\r\n" % answer.length_bytes
    elif not request.http_10 and answer.status not in BODILESS:
        head += CHUNKED
    return head + _persistence(request, keep)


def upgrade_head(answer: Upgrade) -> bytes:
    head = status_line(answer.status, "") + render_headers(answer.headers)
    if answer.status == 101:
        head += render_headers({"Connection": "Upgrade", "Upgrade": answer.protocol})
    return head + b"\r\n"


def _persistence(request: Request, keep: bool) -> bytes:
    """Whether the connection goes on, where that is not the rule, and the end of the head."""
    if not keep:
        return CLOSE + b"\r\n"
    return KEEP_ALIVE + b"\r\n" if request.http_10 else b"\r\n"


def _has_length(answer: Response) -> bool:
    return any(name.lower() == "content-length" for name in answer.headers)


def plain(status: int, text: str) -> bytes:
    """A whole answer that closes the connection, as Go's server gives to what it cannot read."""
    body = f"{status} {_REASONS.get(status, '')}: {text}".encode()
    head = status_line(status, "text/plain; charset=utf-8")
    return b"%bContent-Length: %d\r\n%b\r\n%b" % (head, len(body), CLOSE, body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def groups(parts: bytes | Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """`parts` in pieces of about GROUP_BYTES: small ones joined, large ones cut without a copy."""
    gathered: list[bytes] = []
    size_bytes = 0
    for part in (parts,) if isinstance(parts, bytes) else parts:
        if size_bytes and size_bytes + len(part) > GROUP_BYTES:
            yield b"".join(gathered)
            gathered, size_bytes = [], 0
        if len(part) > GROUP_BYTES:
            view = memoryview(part)
            yield from (view[at : at + GROUP_BYTES] for at in range(0, len(part), GROUP_BYTES))
        else:
            gathered.append(part)
            size_bytes += len(part)
    if gathered:
        yield b"".join(gathered)
