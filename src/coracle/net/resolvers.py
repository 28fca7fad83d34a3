"""Names that are not ours: ask the host's own name servers, all at once, and take the first that knows.

/etc/resolv.conf is read when it is needed and has changed, so a laptop that moves to another network is followed.
Answers are kept as long as they say, at most half a minute, in a small memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from coracle.core.clock import Clock
from coracle.core.errors import Unavailable
from coracle.wire import dns

TIMEOUT_S = 5.0
AGAIN_S = 1.5  # a datagram may be lost
KEPT = 2000
KEPT_AT_MOST_S = 30.0
_SERVERS_AT_MOST = 3  # as in resolv.conf(5)


_Place = tuple[bytes, tuple[str, ...], bool]  # a question, who is asked, whether by stream


class Resolvers:
    """The host's name servers, and others.  `is_own` tells the addresses where asking would be asking us again."""

    def __init__(
        self, clock: Clock, resolv_conf: Path, is_own: Callable[[str], bool] = lambda _: False, port: int = 53
    ) -> None:
        self._clock, self._path, self._is_own, self._port = clock, resolv_conf, is_own, port
        self._read_at: tuple[int, int] = (0, 0)
        self._servers: tuple[str, ...] = ()
        self._kept: OrderedDict[_Place, tuple[float, bytes]] = OrderedDict()

    async def ask(self, message: bytes, servers: tuple[str, ...] = (), *, stream: bool = False) -> bytes:
        """The answer to a whole query message, with its id.

        `servers` are asked instead of the host's, where there are any.  `stream`: by TCP, for answers of any length.

        Raises: Unavailable (no server, or none that answered in 5 s).
        """
        key = (message[2:], servers, stream)
        until_s, answer = self._kept.get(key, (0.0, b""))
        if answer and self._clock.monotonic_s() < until_s:
            self._kept.move_to_end(key)
            return dns.with_id(answer, int.from_bytes(message[:2]))
        # An id of our own and a socket, so a port, for each question: harder to forge an answer to.
        asked = dns.with_id(message, random.SystemRandom().getrandbits(16))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._first(self._foreign(servers) or self.servers(), asked, stream)
        except TimeoutError as error:
            raise Unavailable("no name server answered") from error
        self._keep(key, answer)
        return dns.with_id(answer, int.from_bytes(message[:2]))

    def servers(self) -> tuple[str, ...]:
        """The host's name servers now, without ourselves."""
        try:
            status = os.stat(self._path)
        except OSError:
            return ()
        if (status.st_mtime_ns, status.st_ino) != self._read_at:
            self._read_at = (status.st_mtime_ns, status.st_ino)
            self._servers = tuple(parse_servers(self._path.read_text(errors="replace")))
            self._kept.clear()
        return self._foreign(self._servers)

    def _foreign(self, servers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(server for server in servers if not self._is_own(server))

    async def _first(self, servers: tuple[str, ...], message: bytes, stream: bool) -> bytes:
        if not servers:
            raise Unavailable("the host has no name server")
        answers: asyncio.Queue[bytes] = asyncio.Queue()
        last = b""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(server, message, stream, answers)) for server in servers]
            for _ in tasks:
                answer = await answers.get()
                last = answer or last
                if answer and dns.code_of(answer) in (dns.NO_ERROR, dns.NO_SUCH_NAME):
                    break
            for task in tasks:
                task.cancel()
        if not last:
            raise Unavailable("no name server could be asked")
        return last

    async def _one(self, server: str, message: bytes, stream: bool, answers: asyncio.Queue[bytes]) -> None:
        """Put one server's answer, or nothing where it cannot be asked."""
        ask = self._by_stream if stream else self._by_datagram
        try:
            answers.put_nowait(await ask(server, message))
        except (OSError, EOFError):
            answers.put_nowait(b"")

    async def _by_datagram(self, server: str, message: bytes) -> bytes:
        with socket.socket(_family(server), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
            asking.connect((server, self._port))
            while True:
                await asyncio.get_running_loop().sock_sendall(asking, message)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_S):
                        return await _answer(asking, message)

    async def _by_stream(self, server: str, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(len(message).to_bytes(2) + message)
            answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        finally:
            writer.close()
        if not dns.answers_to(answer, message):
            raise EOFError("not the answer")
        return answer

    def _keep(self, key: _Place, answer: bytes) -> None:
        if dns.code_of(answer) not in (dns.NO_ERROR, dns.NO_SUCH_NAME):
            return
        try:
            life_s = min(dns.lifetime_s(answer), KEPT_AT_MOST_S)
        except dns.Unreadable:
            return
        if life_s > 0:
            self._kept[key] = (self._clock.monotonic_s() + life_s, answer)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def parse_servers(text: str) -> list[str]:
    """The name servers of a resolv.conf, at most three."""
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            servers.append(words[1])
    return servers[:_SERVERS_AT_MOST]


async def _answer(asking: socket.socket, message: bytes) -> bytes:
    """The next datagram that answers `message`; others are passed over."""
    while True:
        answer = await asyncio.get_running_loop().sock_recv(asking, dns.STREAM_LIMIT_BYTES)
        if dns.answers_to(answer, message):
            return answer


def _family(server: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server else socket.AF_INET
