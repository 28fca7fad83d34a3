"""One question of the gRPC health protocol over HTTP/2, as a client: is this service serving?

    begin()            what to send first
    feed(bytes)        what to send in answer
    verdict            "SERVING", "NOT_SERVING", ...; None as long as the server has not said; "" where it ended the
                       call without saying

Only what one short call needs: answers to SETTINGS and PING, the first message of stream 1.  Header blocks are skipped
unread: a call that fails has no message.

Source: RFC 9113; RFC 7541, literals without Huffman coding; gRPC over HTTP/2; grpc.health.v1.
"""

from __future__ import annotations

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _PADDED, _ACK = 0x1, 0x4, 0x8, 0x1
_STREAM = 1
_LARGEST_FRAME = 16384  # until a peer is told otherwise, which it is not
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


class ProtocolError(Exception):
    """The peer does not speak HTTP/2, or not properly."""


class HealthCall:
    """grpc.health.v1.Health/Check of `service` at `authority` (host:port)."""

    def __init__(self, authority: str, service: str = "", user_agent: str = "") -> None:
        self._authority, self._service, self._user_agent = authority, service, user_agent
        self._received, self._message = bytearray(), bytearray()
        self.verdict: str | None = None

    def begin(self) -> bytes:
        service = self._service.encode()
        request = b"\x0a" + _varint(len(service)) + service if service else b""
        headers = (
            b"\x83\x86"  # :method POST, :scheme http
            + b"\x04" + _text("/grpc.health.v1.Health/Check")
            + b"\x01" + _text(self._authority)
            + b"\x0f\x10" + _text("application/grpc")
            + b"\x0f\x2b" + _text(self._user_agent)
            + b"\x00" + _text("te") + _text("trailers")
        )  # fmt: skip
        body = b"\0" + len(request).to_bytes(4, "big") + request
        opening = _frame(_HEADERS, _END_HEADERS, _STREAM, headers) + _frame(_DATA, _END_STREAM, _STREAM, body)
        return _PREFACE + _frame(_SETTINGS, 0, 0, b"") + opening

    def feed(self, data: bytes) -> bytes:
        """Take what the server sends.  Raises ProtocolError."""
        self._received += data
        replies = b""
        while len(self._received) >= 9:
            size = int.from_bytes(self._received[:3], "big")
            if size > _LARGEST_FRAME:
                raise ProtocolError("a frame that is too large")
            if len(self._received) < 9 + size:
                break
            kind, flags = self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:9], "big") & 0x7FFFFFFF
            payload = bytes(self._received[9 : 9 + size])
            del self._received[: 9 + size]
            replies += self._take(kind, flags, stream, payload)
        return replies

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == _SETTINGS and not flags & _ACK:
            return _frame(_SETTINGS, _ACK, 0, b"")
        if kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        if kind == _GO_AWAY or (kind == _RESET and stream == _STREAM):
            self._end()
        if stream == _STREAM and kind == _DATA:
            self._message += _unpadded(payload) if flags & _PADDED else payload
            self._read()
        if stream == _STREAM and kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            self._end()
        return b""

    def _read(self) -> None:
        """A message is whole once the length that it begins with is there."""
        whole = len(self._message) >= 5 and len(self._message) >= 5 + int.from_bytes(self._message[1:5], "big")
        if self.verdict is None and whole:
            size = int.from_bytes(self._message[1:5], "big")
            self.verdict = _status(bytes(self._message[5 : 5 + size]))

    def _end(self) -> None:
        if self.verdict is None:
            self.verdict = ""


def _status(message: bytes) -> str:
    """Of a HealthCheckResponse: its first field, a number; absent for 0."""
    number = message[1] if len(message) > 1 and message[0] == 0x08 else 0
    return _STATUSES[number] if number < len(_STATUSES) else str(number)


def _unpadded(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _text(text: str) -> bytes:
    data = text.encode("ascii", "replace")
    if len(data) < 127:
        return bytes((len(data),)) + data
    return b"\x7f" + _varint(len(data) - 127) + data


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first: HPACK's integers beyond their prefix, and protobuf's."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))
