"""SPDY/3.1 as Kubernetes' clients still speak it, the server's side: many streams over one connection.

Bytes in (`feed`), events out, and what is to be sent in `take`; no I/O.  Flow control is left out on both sides, as in
the library that kubectl uses; who reads holds up the whole connection.

    client   SYN_STREAM 1 (headers)   ->  Opened(1, headers)
    server   reply(1)                     SYN_REPLY
    both     data                     ->  Received(1, bytes, is_last), send(1, bytes, is_last)

Header blocks are compressed with one zlib stream per direction that begins with a dictionary known to both.

Source: SPDY Protocol, Draft 3.1 (sections 2.2 to 2.6.10).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PROTOCOL = "SPDY/3.1"
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GO_AWAY = 1, 2, 3, 6, 7
_FIN = 0x01
_CONTROL = 0x80
_VERSION = 3
_STREAM_IDS = 0x7FFFFFFF
_LARGEST_FRAME_BYTES = 1 << 20
_LARGEST_HEADERS_BYTES = 16 * 1024
_LARGEST_PIECE_BYTES = 32 * 1024
CANCEL, REFUSED = 5, 3

_NAMES = """
    options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
    authorization cache-control connection content-base content-encoding content-language content-length
    content-location content-md5 content-range content-type date etag expect expires from host if-match
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
    user-agent vary via warning www-authenticate method get status
"""
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _sized(words: Iterable[str]) -> bytes:
    return b"".join(len(word).to_bytes(4, "big") + word.encode() for word in words)


DICTIONARY = (
    _sized([*_NAMES.split(), "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"])
    + _REST.encode()
)


class ProtocolError(Exception):
    """The peer breaks the protocol; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client has begun a stream; `headers` by lower-case name."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Received:
    """`is_last`: the client will send no more on it."""

    stream: int
    data: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The client has no more interest in a stream."""

    stream: int


Event = Opened | Received | Cancelled


class Connection:
    """The server's side of one connection."""

    def __init__(self) -> None:
        self._received, self._outgoing = bytearray(), bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self.is_over = False

    def feed(self, data: bytes) -> list[Event]:
        """Take what the client sends.  Raises ProtocolError."""
        self._received += data
        events: list[Event] = []
        while len(self._received) >= 8 and not self.is_over:
            size = int.from_bytes(self._received[5:8], "big")
            if size > _LARGEST_FRAME_BYTES:
                raise ProtocolError(f"a frame of {size} bytes")
            if len(self._received) < 8 + size:
                break
            head, payload = bytes(self._received[:5]), bytes(self._received[8 : 8 + size])
            del self._received[: 8 + size]
            events += self._control(head, payload) if head[0] & _CONTROL else self._data(head, payload)
        return events

    def take(self) -> bytes:
        """What is to be sent; once."""
        out = bytes(self._outgoing)
        self._outgoing.clear()
        return out

    # -- what the server says --------------------------------------------------------------------------------------

    def reply(self, stream: int) -> None:
        """Accept a stream."""
        block = self._deflate.compress((0).to_bytes(4, "big")) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._frame(_SYN_REPLY, 0, stream.to_bytes(4, "big") + block)

    def send(self, stream: int, data: bytes, *, is_last: bool = False) -> None:
        """On a stream; `is_last`: no more will come."""
        pieces = [data[at : at + _LARGEST_PIECE_BYTES] for at in range(0, len(data), _LARGEST_PIECE_BYTES)] or [b""]
        for number, piece in enumerate(pieces, 1):
            flags = _FIN if is_last and number == len(pieces) else 0
            self._outgoing += stream.to_bytes(4, "big") + bytes((flags,)) + len(piece).to_bytes(3, "big") + piece

    def reset(self, stream: int, status: int = CANCEL) -> None:
        self._frame(_RST_STREAM, 0, stream.to_bytes(4, "big") + status.to_bytes(4, "big"))

    # -- frames --------------------------------------------------------------------------------------------------

    def _frame(self, kind: int, flags: int, payload: bytes) -> None:
        head = bytes((_CONTROL, _VERSION, 0, kind, flags))
        self._outgoing += head + len(payload).to_bytes(3, "big") + payload

    def _data(self, head: bytes, payload: bytes) -> list[Event]:
        return [Received(int.from_bytes(head[:4], "big"), payload, bool(head[4] & _FIN))]

    def _control(self, head: bytes, payload: bytes) -> list[Event]:
        kind, flags = head[3], head[4]
        if head[1] != _VERSION:
            raise ProtocolError(f"version {head[1]}")
        if kind == _SYN_STREAM:
            return self._open(payload, flags)
        if kind == _RST_STREAM and len(payload) == 8:
            return [Cancelled(int.from_bytes(payload[:4], "big") & _STREAM_IDS)]
        if kind == _PING and len(payload) == 4 and payload[3] & 1:  # the client's have odd numbers
            self._frame(_PING, 0, payload)
        if kind == _GO_AWAY:
            self.is_over = True
        return []

    def _open(self, payload: bytes, flags: int) -> list[Event]:
        if len(payload) < 10:
            raise ProtocolError("a stream without a head")
        stream = int.from_bytes(payload[:4], "big") & _STREAM_IDS
        opened = Opened(stream, self._headers(payload[10:]))
        return [opened, Received(stream, b"", is_last=True)] if flags & _FIN else [opened]

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, _LARGEST_HEADERS_BYTES)
        except zlib.error as error:
            raise ProtocolError(f"headers: {error}") from error
        if self._inflate.unconsumed_tail:
            raise ProtocolError("headers that are too large")
        texts = _texts(plain)
        return {name.lower(): value.partition("\0")[0] for name, value in zip(texts[::2], texts[1::2], strict=True)}


def _texts(plain: bytes) -> list[str]:
    """Names and values in turn; as many pairs as the first number says.  Raises ProtocolError."""
    count, at, found = int.from_bytes(plain[:4], "big"), 4, list[str]()
    for _ in range(2 * min(count, _LARGEST_HEADERS_BYTES)):
        size = int.from_bytes(plain[at : at + 4], "big")
        at += 4 + size
        if at > len(plain):
            raise ProtocolError("headers that end too early")
        found.append(plain[at - size : at].decode("utf-8", "replace"))
    return found
