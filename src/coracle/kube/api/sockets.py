"""Watches over a WebSocket, and how a browser shows who it is: it can set no header but the subprotocols.

Each event is a message of its own.  What the client says is not read; when it goes, the watch ends.

Source: apiserver's watch handler (websocket), its bearer token protocol `base64url.bearer.authorization.k8s.io.`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator

from coracle.web.messages import Request, Upgrade
from coracle.web.websocket import WebSocket, accept

_BEARER = "base64url.bearer.authorization.k8s.io."


def offered(request: Request) -> list[str]:
    """The subprotocols to choose from."""
    return [name for name in _subprotocols(request) if not name.startswith(_BEARER)]


def bearer(request: Request) -> str:
    """The token among the subprotocols; "" where there is none that can be read."""
    shown = next((name for name in _subprotocols(request) if name.startswith(_BEARER)), "")
    packed = shown.removeprefix(_BEARER).encode()
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _subprotocols(request: Request) -> list[str]:
    header = request.headers.get("sec-websocket-protocol", "")
    return [name.strip() for name in header.split(",") if name.strip()]


def watch(request: Request, chunks: AsyncGenerator[bytes]) -> Upgrade:
    """`chunks` are whole lines.  Raises Malformed, Unsupported (no WebSocket handshake)."""

    async def speak(socket: WebSocket) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_listen(socket), name="watch-in")
                group.create_task(_tell(socket, chunks, listening), name="watch-out")
        except* ConnectionError:
            pass  # the client is gone
        finally:
            await chunks.aclose()

    return accept(request, offered(request), speak)


async def _tell(socket: WebSocket, chunks: AsyncGenerator[bytes], listening: asyncio.Task[None]) -> None:
    async for chunk in chunks:
        for line in chunk.splitlines():
            await socket.send(line.decode())
    listening.cancel()


async def _listen(socket: WebSocket) -> None:
    while await socket.receive() is not None:
        pass
    raise ConnectionResetError("the client has closed the connection")
