"""pods/portforward as older clients speak it: ports named by the query, two channels of one WebSocket for each.

    GET .../portforward?ports=80&ports=443
    channel 0, 1    data and error of the first port; 2, 3 of the second ...
    first message   on each channel, from us: the port, 16 bits, little endian

A channel is the first byte of a message, or its first digit before base64 text.

Source: Kubernetes, kubelet's cri/streaming/portforward/websocket.go ("v4.channel.k8s.io"); kubernetes-client/python.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from coracle.core.errors import CloudError, Malformed
from coracle.core.object import Object
from coracle.kube.api.carrying import BLOCK, Pieces, close, failed, hand_in, send_all
from coracle.kube.api.streams import PodStreams
from coracle.web.messages import Query, Request, Upgrade
from coracle.web.websocket import WebSocket, accept
from coracle.wire import channels

BINARY, BASE64 = "v4.channel.k8s.io", "v4.base64.channel.k8s.io"
PROTOCOLS = (BINARY, BASE64)
_PORTS_AT_MOST = 5  # base64 has one digit for a channel


def answer(request: Request, pod: Object, streams: PodStreams) -> Upgrade:
    """The answer to a client that wants ports of `pod`.  Raises Malformed, Unsupported (another protocol)."""
    ports = _ports(request.query)

    async def run(websocket: WebSocket) -> None:
        await ChannelForwarding(pod, streams, websocket, ports).run()

    return accept(request, PROTOCOLS, run)


def _ports(query: Query) -> Sequence[int]:
    """Raises Malformed."""
    asked = [one for text in query.all("ports") for one in text.split(",")]
    if not asked:
        raise Malformed('unable to upgrade: query parameter "port" is required')
    for one in asked:
        if not one.isdecimal() or not 0 < int(one) < 65536:
            raise Malformed(f"unable to upgrade: port {one[:20]!r} must be > 0 and < 65536")
    if len(asked) > _PORTS_AT_MOST:
        raise Malformed(f"unable to upgrade: no more than {_PORTS_AT_MOST} ports")
    return [int(one) for one in asked]


class ChannelForwarding:
    """One client's connection."""

    def __init__(self, pod: Object, streams: PodStreams, websocket: WebSocket, ports: Sequence[int]) -> None:
        self._pod, self._streams, self._websocket, self._ports = pod, streams, websocket, ports
        self._inward: list[Pieces] = [Pieces() for _ in ports]

    async def run(self) -> None:
        """Until the client is gone or every port has ended."""
        async with asyncio.TaskGroup() as group:
            carrying = group.create_task(self._carry_all(), name=f"ports of {self._pod.key}")
            reading = group.create_task(self._read(), name=f"client of ports of {self._pod.key}")
            await asyncio.wait((carrying, reading), return_when=asyncio.FIRST_COMPLETED)
            carrying.cancel()
            reading.cancel()

    async def _read(self) -> None:
        while (message := await self._websocket.receive()) is not None:
            channel, data = self._decoded(message)
            if channel % 2 == 0 and channel // 2 < len(self._ports) and data:
                await hand_in(self._inward[channel // 2], data)

    async def _carry_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            for i, port in enumerate(self._ports):
                for channel in (2 * i, 2 * i + 1):
                    await self._send(channel, port.to_bytes(2, "little"))
            async with asyncio.TaskGroup() as group:
                for i in range(len(self._ports)):
                    group.create_task(self._carry(i), name=f"port {self._ports[i]} of {self._pod.key}")

    async def _carry(self, i: int) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                connection = await self._streams.connect(self._pod, self._ports[i])
            except (CloudError, OSError) as error:
                await self._send(2 * i + 1, failed(self._pod, self._ports[i], error).encode())
                return
            with contextlib.closing(connection):
                await self._join(i, connection)
        close(self._inward[i])

    async def _join(self, i: int, connection: socket.socket) -> None:
        """Both ways, until the port has no more to say."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            inward = group.create_task(send_all(self._inward[i], connection), name=f"to port {self._ports[i]}")
            with contextlib.suppress(ConnectionError):
                while data := await loop.sock_recv(connection, BLOCK):
                    await self._send(2 * i, data)
            inward.cancel()

    def _decoded(self, message: bytes | str) -> tuple[int, bytes]:
        """(channel, data); a message that is none of the protocol is of a channel that is not there."""
        if self._websocket.subprotocol == BASE64:
            whole = channels.decoded(message)
        else:
            whole = message.encode() if isinstance(message, str) else message
        return (whole[0], whole[1:]) if whole else (255, b"")

    async def _send(self, channel: int, data: bytes) -> None:
        message = channels.output(channel, data)
        await self._websocket.send(channels.encoded(message) if self._websocket.subprotocol == BASE64 else message)
