"""Where names are asked for: an address, port 53, by datagram and by stream.

Source: RFC 1035, section 4.2; RFC 7766 (streams).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from coracle.core.errors import AlreadyExists
from coracle.net.addresses import Address
from coracle.net.api import Transport
from coracle.net.holds import HostPort, process_on

STREAMS_AT_MOST = 256
STREAM_IDLE_S = 10.0

_TRANSPORTS: tuple[Transport, ...] = ("UDP", "TCP")
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78  # ip(7), ipv6(7): the address may come later than we

# Takes a whole answer; called once, or never where there is none.
Reply = Callable[[bytes], None]


class Take(Protocol):
    """Answers a query message of `client` by calling `reply`."""

    def __call__(self, message: bytes, client: str, reply: Reply, *, stream: bool) -> None: ...


class Listeners:
    """Sockets at `port` (0: any, see `ports`) of the addresses that are opened."""

    def __init__(self, take: Take, port: int) -> None:
        self._take, self._port = take, port
        self._open: dict[Address, tuple[asyncio.DatagramTransport, asyncio.Server]] = {}
        self._streams: set[_Stream] = set()
        self.ports: dict[Address, int] = {}

    async def open(self, address: Address) -> None:
        """Raises AlreadyExists naming the process that has the port; OSError.  Nothing where it is open."""
        if address in self._open:
            return
        loop = asyncio.get_running_loop()
        datagrams, listener = _sockets(address, self._port)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._take), sock=datagrams)
        server = await loop.create_server(lambda: _Stream(self._take, self._streams), sock=listener)
        self._open[address] = (transport, server)
        self.ports[address] = listener.getsockname()[1]

    def close(self, address: Address) -> None:
        """Nothing where it is not open."""
        found = self._open.pop(address, None)
        self.ports.pop(address, None)
        if found is not None:
            found[0].close()
            found[1].close()

    def close_all(self) -> None:
        for address in tuple(self._open):
            self.close(address)
        for stream in tuple(self._streams):
            stream.close()


def _sockets(address: Address, port: int) -> tuple[socket.socket, socket.socket]:
    """A datagram socket and a listening one on the same port.  Raises AlreadyExists, OSError."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    datagrams = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for bound in (listener, datagrams):
            if address.version == 4:
                bound.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            else:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                bound.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        listener.bind((str(address), port))
        listener.listen(128)
        datagrams.bind((str(address), listener.getsockname()[1]))
    except OSError as error:
        listener.close()
        datagrams.close()
        if error.errno != errno.EADDRINUSE:
            raise
        found = (process_on(HostPort(transport, address, port)) for transport in _TRANSPORTS)
        holder = next(filter(None, found), "another process of the host")
        said = f"names cannot be answered: port {port} of {address} is already used by {holder}"
        raise AlreadyExists(said, kind="Port", name=f"UDP/{port}", holder=holder) from error
    return datagrams, listener


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Take) -> None:
        self._take = take

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr[0], partial(self._send, addr), stream=False)

    def _send(self, addr: tuple[str, int], answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(answer, addr)


class _Stream(asyncio.Protocol):
    """Messages with their length in front.  Closed when nothing was asked for ten seconds."""

    def __init__(self, take: Take, open_ones: set[_Stream]) -> None:
        self._take, self._open = take, open_ones
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._client = transport.get_extra_info("peername")[0]
        self._open.add(self)
        self._alarm = asyncio.get_running_loop().call_later(STREAM_IDLE_S, self.close)
        if len(self._open) > STREAMS_AT_MOST:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._alarm.cancel()
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._early += data
        while len(self._early) >= 2:
            end = 2 + int.from_bytes(self._early[:2])
            if len(self._early) < end:
                return
            message = bytes(self._early[2:end])
            del self._early[:end]
            self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_later(STREAM_IDLE_S, self.close)
            self._take(message, self._client, self._send, stream=True)

    def close(self) -> None:
        self._transport.abort()

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(len(answer).to_bytes(2) + answer)
