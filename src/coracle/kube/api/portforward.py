"""pods/portforward: SPDY streams, in WebSocket messages or directly, each pair joined to a port inside the pod.

Clients that know only channels of a WebSocket are portchannels' matter.

The client opens two streams per connection that it was made: `error`, on which we tell what went wrong, and `data`.

    client -> error stream (port 80, requestID 7)      reply
    client -> data stream  (port 80, requestID 7)      reply, connect to localhost:80 in the pod, carry both ways
    either side is done                                end both streams

Source: Kubernetes, `PortForwardProtocolV1Name`; KEP-4006; kubelet's httpstream port forwarder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from coracle.core.errors import CloudError, Malformed
from coracle.core.object import Object
from coracle.kube.api import portchannels
from coracle.kube.api.carrying import BLOCK, Pieces, close, failed, hand_in, send_all
from coracle.kube.api.streams import PodStreams
from coracle.web.messages import RawStream, Request, Upgrade
from coracle.web.websocket import WebSocket, accept
from coracle.wire import spdy

log = logging.getLogger(__name__)

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"{spdy.PROTOCOL}+{PROTOCOL}"
_STREAMS_AT_MOST = 1000

Read = Callable[[], Awaitable[bytes | None]]  # None: the client is done; a message may be empty
Write = Callable[[bytes], Awaitable[None]]


def answer(request: Request, pod: Object, streams: PodStreams) -> Upgrade:
    """The answer to a client that wants ports of `pod`.  Raises Malformed, Unsupported (another protocol)."""

    async def tunnel(websocket: WebSocket) -> None:
        async def read() -> bytes | None:
            message = await websocket.receive()
            return message.encode() if isinstance(message, str) else message

        await Forwarding(pod, streams, websocket.send).run(read)

    async def direct(raw: RawStream) -> None:
        async def read() -> bytes | None:
            return await raw.read() or None

        await Forwarding(pod, streams, raw.write).run(read)

    if request.upgrade == "websocket":
        if TUNNEL not in request.headers.get("sec-websocket-protocol", ""):
            return portchannels.answer(request, pod, streams)
        return accept(request, (TUNNEL,), tunnel)
    offered = [one.strip() for one in request.headers.get("x-stream-protocol-version", "").split(",")]
    if request.upgrade != spdy.PROTOCOL.lower() or PROTOCOL not in offered:
        raise Malformed("unable to upgrade: missing upgrade headers in request")
    return Upgrade(spdy.PROTOCOL, direct, {"X-Stream-Protocol-Version": PROTOCOL})


@dataclass(slots=True)
class _Pair:
    """The two streams of one forwarded connection; 0: not there (yet, or any more)."""

    port: int
    error: int = 0
    data: int = 0
    inward: Pieces = field(default_factory=Pieces)
    carrying: asyncio.Task[None] | None = None


class Forwarding:
    """One client's connection."""

    def __init__(self, pod: Object, streams: PodStreams, write: Write) -> None:
        self._pod, self._streams, self._write = pod, streams, write
        self._connection = spdy.Connection()
        self._pairs: dict[str, _Pair] = {}
        self._by_stream: dict[int, _Pair] = {}

    async def run(self, read: Read) -> None:
        """Until the client is gone, or says what it may not."""
        async with asyncio.TaskGroup() as group:
            try:
                while not self._connection.is_over and (data := await read()) is not None:
                    for event in self._connection.feed(data):
                        await self._handle(event, group)
                    await self._flush()
            except spdy.ProtocolError as error:
                log.info("port forwarding of pod %s: %s", self._pod.key, error)
            except ConnectionError:
                pass  # the client is gone
            for pair in self._pairs.values():
                if pair.carrying is not None:
                    pair.carrying.cancel()

    async def _handle(self, event: spdy.Event, group: asyncio.TaskGroup) -> None:
        match event:
            case spdy.Opened(stream, headers):
                self._open(stream, headers.get("streamtype", ""), headers.get("port", ""), headers.get("requestid", ""))
                pair = self._by_stream.get(stream)
                if pair is not None and pair.data and pair.carrying is None:
                    pair.carrying = group.create_task(self._carry(pair), name=f"port {pair.port} of {self._pod.key}")
            case spdy.Received(stream, data, is_last):
                pair = self._by_stream.get(stream)
                if pair is not None and stream == pair.data:
                    await self._hand_in(pair, data, is_last)
            case spdy.Cancelled(stream):
                pair = self._by_stream.get(stream)
                if pair is not None and stream == pair.data and pair.carrying is not None:
                    pair.carrying.cancel()

    def _open(self, stream: int, sort: str, port: str, request: str) -> None:
        valid = port.isdigit() and 0 < int(port) < 65536 and sort in ("error", "data")
        if not valid or len(self._by_stream) >= _STREAMS_AT_MOST:
            self._connection.reset(stream, spdy.REFUSED)
            return
        pair = self._pairs.setdefault(request, _Pair(int(port)))
        setattr(pair, sort, stream)
        self._by_stream[stream] = pair
        self._connection.reply(stream)

    async def _hand_in(self, pair: _Pair, data: bytes, is_last: bool) -> None:
        for piece in [*([data] if data else []), *([None] if is_last else [])]:
            await hand_in(pair.inward, piece)

    async def _flush(self) -> None:
        data = self._connection.take()
        if data:
            await self._write(data)

    # -- one connection --------------------------------------------------------------------------------------------

    async def _carry(self, pair: _Pair) -> None:
        try:
            connection = await self._streams.connect(self._pod, pair.port)
        except (CloudError, OSError) as error:
            await self._end(pair, failed(self._pod, pair.port, error))
            return
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            await self._join(pair, connection)
        await self._end(pair)

    async def _join(self, pair: _Pair, connection: socket.socket) -> None:
        """Both ways, until the port has no more to say."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            inward = group.create_task(send_all(pair.inward, connection), name=f"to port {pair.port}")
            try:
                while data := await loop.sock_recv(connection, BLOCK):
                    self._connection.send(pair.data, data)
                    await self._flush()
            except ConnectionResetError:
                pass  # the port's end, told rudely
            inward.cancel()

    async def _end(self, pair: _Pair, problem: str = "") -> None:
        if problem:
            self._connection.send(pair.error, problem.encode(), is_last=True)
            self._connection.reset(pair.data)
        else:
            self._connection.send(pair.data, b"", is_last=True)
            self._connection.send(pair.error, b"", is_last=True)
        for stream in (pair.error, pair.data):
            self._by_stream.pop(stream, None)
        self._pairs = {request: other for request, other in self._pairs.items() if other is not pair}
        close(pair.inward)
        with contextlib.suppress(ConnectionError):
            await self._flush()
