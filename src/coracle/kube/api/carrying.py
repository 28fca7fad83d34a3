"""One forwarded connection's way in: what a client has sent waits here until the port inside the pod takes it."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from coracle.core.object import Object

BLOCK = 64 * 1024
_WAITING_PIECES = 64  # of what the client has sent and the port has not taken


class Pieces(asyncio.Queue[bytes | None]):
    """None: the client is done."""

    def __init__(self) -> None:
        super().__init__(_WAITING_PIECES)
        self.is_over = False  # nobody takes any more


async def hand_in(pieces: Pieces, piece: bytes | None) -> None:
    """Waits while the port does not keep up."""
    if not pieces.is_over:
        await pieces.put(piece)


async def send_all(pieces: Pieces, connection: socket.socket) -> None:
    """Until it is cancelled."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while (piece := await pieces.get()) is not None:
            await loop.sock_sendall(connection, piece)
        connection.shutdown(socket.SHUT_WR)
    while True:
        await pieces.get()  # nobody takes it any more


def close(pieces: Pieces) -> None:
    """Whoever waits to hand more in, shall not."""
    pieces.is_over = True
    while not pieces.empty():
        pieces.get_nowait()


def failed(pod: Object, port: int, error: Exception) -> str:
    """What a client is told of a port that cannot be reached."""
    said = str(error)
    if isinstance(error, ConnectionRefusedError):
        said = f"failed to connect to localhost:{port} inside the pod: dial tcp4 127.0.0.1:{port}: connection refused"
    return f"error forwarding port {port} to pod {pod.meta.name}, uid {pod.meta.uid}: {said}"
