"""The name server of the cloud: answers pods and containers at the gateways of their networks.

Published names are answered from memory, in the loop, without waiting; everything else is asked of the host's own
name servers, or of those that the asker has chosen.  Who asks is known by address (net.askers): a network may have
names of its own, and may be kept from asking outside.

    Names.publish("kube", {"web.default.svc.cluster.local": [IPv4Address("100.64.0.5")]})
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import Unavailable
from coracle.core.tasks import Tasks
from coracle.net.addresses import Address
from coracle.net.askers import Asker, Askers, Scope, scope_of
from coracle.net.listeners import Listeners, Reply
from coracle.net.resolvers import Resolvers
from coracle.net.zones import Finding, Records, Zones
from coracle.wire import dns
from coracle.wire.dns import Question

__all__ = ["Asker", "Names", "Scope", "scope_of"]

log = logging.getLogger(__name__)

WAITING_AT_MOST = 1000  # questions asked outside at a time


class Names:
    """A Part: listens on `addresses` and at the gateways of networks, at `port` (0: any, see `ports`)."""

    def __init__(
        self,
        addresses: Iterable[Address],
        clock: Clock,
        *,
        port: int = 53,
        zones: Sequence[str] = ("cluster.local",),
        resolv_conf: Path = Path("/etc/resolv.conf"),
        upstream_port: int = 53,
    ) -> None:
        self._addresses = tuple(addresses)
        self._zones = Zones(zones)
        self._askers = Askers()
        self._listeners = Listeners(self.take, port)
        self._asks_itself = port == upstream_port
        self._resolvers = Resolvers(clock, resolv_conf, self._is_own, upstream_port)
        self._tasks = Tasks()
        self._waiting = 0

    @property
    def ports(self) -> dict[Address, int]:
        """The port of each address, while it runs."""
        return self._listeners.ports

    # -- what is known -------------------------------------------------------------------------------------------

    def publish(self, source: str, records: Records, network: str | None = None) -> None:
        """Make `records` all that `source` says, in `network` only where one is given.

        Shape:  name -> addresses, Service, Alias, Pointer (see net.zones); names without a last dot.
        Raises: ValueError (not a name).
        """
        self._zones.publish(source, records, network)

    def change(self, source: str, records: Records, network: str | None = None) -> None:
        """Replace what `source` says of these names only; a name without entries is taken back."""
        self._zones.change(source, records, network)

    async def listen(self, scope: Scope) -> None:
        """From now on who asks from the subnets of `scope` is of that network, and is answered at its gateways.

        Raises: AlreadyExists naming the process that has the port of a gateway (nothing has changed then); OSError.
        """
        if self._tasks.running:
            for address in scope.gateways:
                await self._listeners.open(address)
        self._askers.add(scope)

    def unlisten(self, name: str) -> None:
        """The network of that name is no more.  Nothing where it is not known."""
        scope = self._askers.remove(name)
        for address in scope.gateways if scope is not None else ():
            if address not in self._addresses:
                self._listeners.close(address)

    def know(self, asker: Asker) -> None:
        """From now on this is who asks from `asker.addresses`; what was known by its name is forgotten."""
        self._askers.know(asker)

    def forget(self, name: str) -> None:
        """Nothing where nobody is known by this name."""
        self._askers.forget(name)

    async def run(self, up: Callable[[], None]) -> None:
        """Raises AlreadyExists naming the process that has the port, before anything else has begun."""
        known = [address for scope in self._askers.scopes for address in scope.gateways]
        try:
            for address in (*self._addresses, *known):
                await self._listeners.open(address)
            await self._tasks.run(up)
        finally:
            self._listeners.close_all()

    def _is_own(self, server: str) -> bool:
        """Whether asking `server` would be asking us."""
        return self._asks_itself and server in map(str, self._listeners.ports)

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
        sight = self._askers.sight(client)
        if sight is None:
            reply(dns.answer(question, code=dns.REFUSED))
            return
        found = self._zones.find(question, sight.networks)
        if found is None and self._askers.is_ours(question.name):
            found = Finding(dns.NO_SUCH_NAME)
        if found is not None and not found.elsewhere:
            reply(_written(question, found, limit_bytes))
        elif not sight.outside:
            code = dns.NO_ERROR if found is not None else dns.NO_SUCH_NAME
            reply(dns.answer(question, found.records if found else (), code=code, limit_bytes=limit_bytes))
        elif found is not None:
            self._later(self._follow(question, found, limit_bytes, sight.servers), question, reply)
        else:
            self._later(self._forward(message, question, stream, sight.servers), question, reply)

    def _later(self, work: Coroutine[Any, Any, bytes], question: Question, reply: Reply) -> None:
        """Answer when `work` is done; it failing is an answer too."""
        if not self._tasks.running or self._waiting >= WAITING_AT_MOST:
            work.close()
            reply(dns.answer(question, code=dns.SERVER_FAILURE))
            return
        self._waiting += 1
        self._tasks.begin(self._answered(work, question, reply), name="dns")

    async def _answered(self, work: Coroutine[Any, Any, bytes], question: Question, reply: Reply) -> None:
        try:
            answer = await work
        except (Unavailable, dns.Unreadable) as error:
            log.info("cannot resolve %s: %s", question.name, error)
            answer = dns.answer(question, code=dns.SERVER_FAILURE)
        finally:
            self._waiting -= 1
        reply(answer)

    async def _forward(self, message: bytes, question: Question, stream: bool, servers: tuple[str, ...]) -> bytes:
        answer = await self._resolvers.ask(message, servers, stream=stream)
        if not stream and len(answer) > max(question.limit_bytes, dns.PLAIN_LIMIT_BYTES):
            return dns.truncated(answer, question)
        return answer

    async def _follow(self, question: Question, found: Finding, limit_bytes: int, servers: tuple[str, ...]) -> bytes:
        """Our alias leads outside: ask there, and answer both together."""
        outside = await self._resolvers.ask(dns.query(0, found.elsewhere, question.type), servers)
        code, records = dns.read_answers(outside)
        return dns.answer(question, (*found.records, *records), code=code, limit_bytes=limit_bytes)


def _written(question: Question, found: Finding, limit_bytes: int) -> bytes:
    return dns.answer(
        question,
        found.records,
        code=found.code,
        authority=found.authority,
        additional=found.additional,
        limit_bytes=limit_bytes,
    )
