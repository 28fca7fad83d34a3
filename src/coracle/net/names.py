"""The name server of the cloud: answers pods and containers at the gateway of their network.

Published names are answered from memory, in the loop, without waiting; everything else is asked of the host's own
name servers.  Who asks is known by address: a network may have names of its own, and may be kept from asking outside.

    Names.publish("kube", {"web.default.svc.cluster.local": [IPv4Address("100.64.0.5")]})
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, cast

from coracle.core.clock import Clock
from coracle.core.errors import Unavailable
from coracle.net.resolvers import Resolvers
from coracle.net.zones import Finding, Records, Zones
from coracle.wire import dns
from coracle.wire.dns import Question

log = logging.getLogger(__name__)

WAITING_AT_MOST = 1000  # questions asked outside at a time
STREAMS_AT_MOST = 256
STREAM_IDLE_S = 10.0

_IP_FREEBIND = 15  # ip(7): the address may come later than we

# Takes a whole answer; called once, or never where there is none.
Reply = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Scope:
    """A network whose askers have names of their own.  `outside`: whether they may ask for other names at all."""

    name: str
    subnet: IPv4Network
    outside: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks from these addresses: something that is in several networks, and knows the names of all of them.

    servers   are asked for what is not ours, instead of the host's
    outside   whether it may ask for such names at all
    """

    name: str
    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    servers: tuple[str, ...] = ()
    outside: bool = True


class Names:
    """A Part: listens on `addresses`, at `port` (0: any, see `ports`), by UDP and TCP."""

    def __init__(
        self,
        addresses: Iterable[IPv4Address],
        clock: Clock,
        *,
        port: int = 53,
        zones: Sequence[str] = ("cluster.local",),
        resolv_conf: Path = Path("/etc/resolv.conf"),
        upstream_port: int = 53,
    ) -> None:
        self._addresses, self._port = tuple(addresses), port
        self._zones = Zones(zones)
        ours = [str(address) for address in self._addresses] if port == upstream_port else []
        self._resolvers = Resolvers(clock, resolv_conf, ours, upstream_port)
        self._scopes: dict[str, Scope] = {}
        self._askers: dict[str, Asker] = {}
        self._by_address: dict[str, Asker] = {}
        self._group: asyncio.TaskGroup | None = None
        self._waiting = 0
        self.ports: dict[IPv4Address, int] = {}

    def publish(self, source: str, records: Records, network: str | None = None) -> None:
        """Make `records` all that `source` says, in `network` only where one is given.

        Shape:  name -> addresses, Service, Alias, Pointer (see net.zones); names without a last dot.
        Raises: ValueError (not a name).
        """
        self._zones.publish(source, records, network)

    def change(self, source: str, records: Records, network: str | None = None) -> None:
        """Replace what `source` says of these names only; a name without entries is taken back."""
        self._zones.change(source, records, network)

    def scope(self, scope: Scope) -> None:
        """From now on askers with an address in `scope.subnet` are of that network."""
        self._scopes[scope.name] = scope

    def unscope(self, name: str) -> None:
        self._scopes.pop(name, None)

    def know(self, asker: Asker) -> None:
        """From now on this is who asks from `asker.addresses`; what was known by its name is forgotten."""
        self.forget(asker.name)
        self._askers[asker.name] = asker
        self._by_address.update(dict.fromkeys(asker.addresses, asker))

    def forget(self, name: str) -> None:
        """Nothing where nobody is known by this name."""
        asker = self._askers.pop(name, None)
        for address in asker.addresses if asker is not None else ():
            if self._by_address.get(address) is asker:
                del self._by_address[address]

    async def run(self, up: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            streams: set[_Stream] = set()
            for address in self._addresses:
                datagrams, listener = _sockets(address, self._port)
                self.ports[address] = listener.getsockname()[1]
                transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
                stack.callback(transport.close)
                server = await loop.create_server(lambda: _Stream(self, streams), sock=listener)
                stack.callback(server.close)
            stack.callback(_close_all, streams)
            up()
            await loop.create_future()

    # -- answering -----------------------------------------------------------------------------------------------

    def take(self, message: bytes, client: str, reply: Reply, *, stream: bool) -> None:
        """Answer a query message at once where the names are ours; otherwise when somebody else has."""
        limit_bytes = dns.STREAM_LIMIT_BYTES if stream else 0
        try:
            question = dns.read_question(message)
        except dns.Unreadable as error:
            if error.id >= 0:
                reply(dns.failure(error.id))
            return
        if question.opcode != 0 or question.cls != dns.IN:
            code = dns.NOT_IMPLEMENTED if question.opcode else dns.REFUSED
            reply(dns.answer(question, code=code))
            return
        scope = self._scope_of(client)
        found = self._zones.find(question, scope.name if scope else None)
        if found is not None and not found.elsewhere:
            reply(_written(question, found, limit_bytes))
        elif scope is not None and not scope.outside:
            reply(dns.answer(question, code=dns.NO_SUCH_NAME, limit_bytes=limit_bytes))
        elif found is not None:
            self._later(self._follow(question, found, limit_bytes), question, reply)
        else:
            self._later(self._forward(message, question, stream), question, reply)

    def _scope_of(self, client: str) -> Scope | None:
        if not self._scopes:
            return None
        address = IPv4Address(client)
        return next((scope for scope in self._scopes.values() if address in scope.subnet), None)

    def _later(self, work: Coroutine[Any, Any, bytes], question: Question, reply: Reply) -> None:
        """Answer when `work` is done; it failing is an answer too."""
        if self._group is None or self._waiting >= WAITING_AT_MOST:
            work.close()
            reply(dns.answer(question, code=dns.SERVER_FAILURE))
            return
        self._waiting += 1
        self._group.create_task(self._answered(work, question, reply))

    async def _answered(self, work: Coroutine[Any, Any, bytes], question: Question, reply: Reply) -> None:
        try:
            answer = await work
        except (Unavailable, dns.Unreadable) as error:
            log.info("cannot resolve %s: %s", question.name, error)
            answer = dns.answer(question, code=dns.SERVER_FAILURE)
        finally:
            self._waiting -= 1
        reply(answer)

    async def _forward(self, message: bytes, question: Question, stream: bool) -> bytes:
        answer = await self._resolvers.ask(message, stream=stream)
        if not stream and len(answer) > max(question.limit_bytes, dns.PLAIN_LIMIT_BYTES):
            return dns.truncated(answer, question)
        return answer

    async def _follow(self, question: Question, found: Finding, limit_bytes: int) -> bytes:
        """Our alias leads outside: ask there, and answer both together."""
        outside = await self._resolvers.ask(dns.query(0, found.elsewhere, question.type))
        code, records = dns.read_answers(outside)
        return dns.answer(question, (*found.records, *records), code=code, limit_bytes=limit_bytes)


def _close_all(streams: set[_Stream]) -> None:
    for stream in tuple(streams):
        stream.close()


def _written(question: Question, found: Finding, limit_bytes: int) -> bytes:
    return dns.answer(
        question,
        found.records,
        code=found.code,
        authority=found.authority,
        additional=found.additional,
        limit_bytes=limit_bytes,
    )


def _sockets(address: IPv4Address, port: int) -> tuple[socket.socket, socket.socket]:
    """A datagram socket and a listening one on the same port.  Raises OSError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for bound in (listener, datagrams):
            bound.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listener.bind((str(address), port))
        listener.listen(128)
        datagrams.bind((str(address), listener.getsockname()[1]))
    except OSError:
        listener.close()
        datagrams.close()
        raise
    return datagrams, listener


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self._names = names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._names.take(data, addr[0], partial(self._send, addr), stream=False)

    def _send(self, addr: tuple[str, int], answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(answer, addr)


class _Stream(asyncio.Protocol):
    """Messages with their length in front.  Closed when nothing was asked for ten seconds."""

    def __init__(self, names: Names, open_ones: set[_Stream]) -> None:
        self._names, self._open = names, open_ones
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
            self._names.take(message, self._client, self._send, stream=True)

    def close(self) -> None:
        self._transport.abort()

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(len(answer).to_bytes(2) + answer)
