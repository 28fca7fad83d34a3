"""WebSocket frames without I/O: wsproto behind four calls, so that only who has a WebSocket open loads it (13 ms).

Source: RFC 6455.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError


class Frames:
    """One side of a WebSocket.  `messages` are whole and wait to be taken; after `is_over` no more will come."""

    def __init__(self, limit_bytes: int, side: ConnectionType = ConnectionType.SERVER) -> None:
        self._limit_bytes = limit_bytes
        self._wire = Connection(side)
        self._parts: list[Any] = []  # of the message that is arriving: all bytes or all str
        self._part_size = 0
        self.messages: deque[bytes | str] = deque()
        self.is_over = False

    @property
    def is_open(self) -> bool:
        """Whether messages may still be sent."""
        return self._wire.state is ConnectionState.OPEN

    def feed(self, data: bytes) -> bytes:
        """Take input (b"" at its end); what to send in reply.  Never raises: the close code says what was wrong."""
        if not data:
            self.is_over = True
        if self.is_over:
            return b""
        replies = []
        try:
            self._wire.receive_data(data)
            for event in self._wire.events():
                replies.append(self._take(event))
                if self.is_over:
                    break
        except ProtocolError:
            replies.append(self._give_up(CloseReason.PROTOCOL_ERROR))
        return b"".join(replies)

    def message(self, message: bytes | str) -> bytes:
        return self._wire.send(TextMessage(message) if isinstance(message, str) else BytesMessage(message))

    def close(self, code: int, reason: str = "") -> bytes:
        """A close frame, or b"" where one was sent already."""
        if self._wire.state not in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            return b""
        return self._wire.send(CloseConnection(code, reason or None))

    def _take(self, event: Event) -> bytes:
        if isinstance(event, Ping):
            return self._wire.send(event.response())
        if isinstance(event, CloseConnection):
            # Either the peer's close frame, which is answered with its own code, or wsproto's verdict on bad input.
            self.is_over = True
            return self.close(event.code if event.code != CloseReason.NO_STATUS_RCVD else CloseReason.NORMAL_CLOSURE)
        if isinstance(event, Message):
            self._parts.append(event.data)
            self._part_size += len(event.data)
            if self._part_size > self._limit_bytes:
                return self._give_up(CloseReason.MESSAGE_TOO_BIG)
            if event.message_finished:
                self._finish_message()
        return b""

    def _finish_message(self) -> None:
        parts, self._parts, self._part_size = self._parts, [], 0
        self.messages.append("".join(parts) if isinstance(parts[0], str) else b"".join(parts))

    def _give_up(self, code: int) -> bytes:
        self.is_over = True
        self._parts.clear()
        return self.close(code)
