"""TCP and unix sockets without TLS, between asyncio's transport and a Sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from coracle.web import render
from coracle.web.gate import Gate
from coracle.web.pipe import Sink

READ_BYTES = 64 * 1024
MakeSink = Callable[[asyncio.Transport], Sink | None]


class PlainProtocol(asyncio.BufferedProtocol):
    """`make` is given the new connection's transport and returns its Sink, or None to have nothing to do with it.

    `buffer` may be shared by all connections of one loop: it is filled and used up within one callback.
    """

    __slots__ = ("_buffer", "_gate", "_make", "_sink", "_transport")

    def __init__(self, gate: Gate, make: MakeSink, buffer: memoryview) -> None:
        self._gate, self._make, self._buffer = gate, make, buffer
        self._sink: Sink | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  asyncio's signature is wider than what it gives
        self._transport = transport
        if not self._gate.enter(transport):
            transport.write(render.plain(503, "too many connections"))
        else:
            self._sink = self._make(transport)
        if self._sink is None:
            transport.close()
        else:
            self._sink.opened(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._sink is not None:
            self._sink.take(self._buffer[:nbytes])

    def eof_received(self) -> bool:
        if self._sink is None:
            return False
        self._sink.ended()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.leave(self._transport)
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.lost()

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.choked()

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.freed()
