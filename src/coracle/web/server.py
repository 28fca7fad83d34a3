"""A door: listens, and serves every connection until it is cancelled.

On cancellation it stops accepting, cuts off streams and upgraded connections, and lets the handlers that are making a
Response go on for `Limits.grace_s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from coracle.core.clock import Clock, SystemClock
from coracle.core.errors import CloudError, TooLarge
from coracle.web import render
from coracle.web.connection import Caller, Connection, Site
from coracle.web.gate import Gate
from coracle.web.limits import Limits, TermsOf, default_terms
from coracle.web.listeners import BACKLOG, Listener, Tcp, keep_alive, listening, peer_of
from coracle.web.messages import Handler, Identity, Response
from coracle.web.plain import READ_BYTES, PlainProtocol
from coracle.web.tls import RECORD_BYTES, TlsProtocol

log = logging.getLogger(__name__)


def say_plainly(error: CloudError) -> Response:
    """For a door without words of its own."""
    status = 413 if isinstance(error, TooLarge) else 500
    return Response(status, str(error).encode(), content_type="text/plain; charset=utf-8")


class Server:
    """A `core.tasks.Part`.

    `handler` is usually `edge(router.dispatch, say)` and `terms` `router.terms`; `say` words what the server itself
    refuses in the door's dialect (a body that is too large).
    """

    def __init__(
        self,
        handler: Handler,
        listeners: Sequence[Listener],
        *,
        terms: TermsOf = default_terms,
        say: Callable[[CloudError], Response] = say_plainly,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._listeners = tuple(listeners)
        self._limits = limits or Limits()
        self._site = Site(handler, terms, say, self._limits, render.Stamp(clock or SystemClock()))
        self._gate = Gate(self._limits.connections)
        # Shared by all connections: filled and used up within one callback of the one loop.
        self._cipher = memoryview(bytearray(READ_BYTES))
        self._clear = memoryview(bytearray(RECORD_BYTES))
        self.ports: tuple[int, ...] = ()

    @property
    def port(self) -> int:
        """The port of the first TCP listener, once the server is up."""
        return self.ports[0]

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._gate)

    async def run(self, up: Callable[[], None]) -> None:
        """Serve until cancelled.  Raises AlreadyExists (address in use), Forbidden (not permitted)."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            try:
                with contextlib.ExitStack() as stack:
                    ports: list[int] = []
                    for listener in self._listeners:
                        sock = stack.enter_context(listening(listener))
                        ports += [sock.getsockname()[1]] if isinstance(listener, Tcp) else []
                        serving = await loop.create_server(self._factory(listener, group), sock=sock, backlog=BACKLOG)
                        stack.callback(serving.close)
                    self.ports = tuple(ports)
                    up()
                    await loop.create_future()
            finally:
                await self._gate.close(self._limits.grace_s)

    def _factory(self, listener: Listener, group: asyncio.TaskGroup) -> Callable[[], asyncio.BaseProtocol]:
        def make(transport: asyncio.Transport, identity: Identity | None = None) -> Connection | None:
            return self._connect(transport, identity, group)

        context = listener.tls if isinstance(listener, Tcp) else None
        if context is None:
            return lambda: PlainProtocol(self._gate, make, self._cipher)
        return lambda: TlsProtocol(context, self._gate, make, (self._cipher, self._clear), self._limits.head_s)

    def _connect(
        self, transport: asyncio.Transport, identity: Identity | None, group: asyncio.TaskGroup
    ) -> Connection | None:
        sock = transport.get_extra_info("socket")
        try:
            keep_alive(sock)
            caller = Caller(peer_of(sock), identity, sock.fileno())
        except OSError:
            return None  # gone already
        connection = Connection(self._site, caller)
        self._gate.know(transport, connection)
        connection.start(group)
        return connection
