"""WebSocket on an upgraded connection: the handshake, and the moving of what `frames` makes.

A handler answers `return accept(request, ("v5.channel.k8s.io",), run)`; `run` is then given the WebSocket.

Source: RFC 6455.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from coracle.core.errors import Malformed, Unsupported
from coracle.web.messages import RawStream, Request, Upgrade

if TYPE_CHECKING:
    from coracle.web.frames import Frames

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024


class WebSocket:
    """Messages both ways.  `subprotocol` is the agreed one, "" where none was asked for."""

    def __init__(self, stream: RawStream, frames: Frames, subprotocol: str) -> None:
        self.subprotocol = subprotocol
        self._stream, self._frames = stream, frames

    async def receive(self) -> bytes | str | None:
        """The next whole message, fragments joined; None once the peer has closed.  Pings are answered on the way.

        A peer that breaks the protocol, or whose message is too large, is told so by the close code, and is then as
        good as closed.
        """
        frames = self._frames
        while not frames.messages and not frames.is_over:
            reply = frames.feed(await self._stream.read())
            if reply:
                await self._stream.write(reply)
        return frames.messages.popleft() if frames.messages else None

    async def send(self, message: bytes | str) -> None:
        """Send one message; waits while the client does not keep up.

        Concurrency: several tasks may send.
        Raises:      ConnectionResetError (the client is gone, or either side has closed).
        """
        if not self._frames.is_open:
            raise ConnectionResetError("the WebSocket is closed")
        await self._stream.write(self._frames.message(message))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say that this side is done; `receive` goes on until the peer has answered.  More than once does no harm."""
        frame = self._frames.close(code, reason)
        if frame:
            await self._stream.write(frame)


def accept(request: Request, subprotocols: Sequence[str], run: Callable[[WebSocket], Awaitable[None]]) -> Upgrade:
    """The answer that makes `request` a WebSocket, in the first of our `subprotocols` that the client offers.

    A close frame is sent when `run` returns.  A client that offers subprotocols, none of which is ours, is refused.
    Raises: Malformed (no WebSocket handshake); Unsupported (version, subprotocol).
    """
    key = request.headers.get("sec-websocket-key", "")
    if request.upgrade != "websocket" or request.method != "GET" or not _is_key(key):
        raise Malformed("this is not a WebSocket handshake")
    if request.headers.get("sec-websocket-version") != "13":
        raise Unsupported("only version 13 of the WebSocket protocol is spoken here", status=406)
    chosen = choose_subprotocol(request.headers.get("sec-websocket-protocol", ""), subprotocols)
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    headers = {"Sec-WebSocket-Accept": base64.b64encode(digest).decode()}
    if chosen:
        headers["Sec-WebSocket-Protocol"] = chosen

    async def speak(stream: RawStream) -> None:
        from coracle.web.frames import Frames

        socket = WebSocket(stream, Frames(MESSAGE_LIMIT_BYTES), chosen)
        await run(socket)
        await socket.close()

    return Upgrade("websocket", speak, headers)


def choose_subprotocol(offered: str, ours: Sequence[str]) -> str:
    """Our first choice among the client's offers; "" where it offers none.  Raises Unsupported."""
    offers = [name.strip() for name in offered.split(",") if name.strip()]
    chosen = next((name for name in ours if name in offers), "")
    if offers and ours and not chosen:
        raise Unsupported(f"none of the subprotocols {', '.join(offers)} is spoken here", status=406)
    return chosen


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False
