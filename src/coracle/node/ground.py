"""The host's addresses, which the clouds of a host share: who has which subnets.

What a cloud has while it is up is in the host's routes; choosing and making the route happen under one lock of all
clouds, so two of them never choose the same.  Their pods and services are told from the list of `node.config`.

Source: /proc/net/route, /proc/net/ipv6_route in proc(5).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from coracle.core.tasks import offload
from coracle.net.addresses import Subnet
from coracle.node.config import RUN, others

_LOCK = RUN / "lock"
_LINK_LOCAL = IPv6Network("fe80::/10")


class SharedGround:
    """`tag` begins the names of our own links: what is behind them is ours.  `name`: of our cloud."""

    def __init__(self, name: str, tag: str) -> None:
        self._name, self._tag = name, tag
        self._turn = asyncio.Lock()  # one thread at most waits for the others of the host

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[Sequence[tuple[Subnet, str]]]:
        """See engine.networks.Ground."""
        async with self._turn:
            lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                await offload(fcntl.flock, lock, fcntl.LOCK_EX)
                yield [*self._routes(), *others(self._name)]
            finally:
                os.close(lock)

    def _routes(self) -> Iterator[tuple[Subnet, str]]:
        routes: list[tuple[str, Subnet]] = [*_routes4(), *_routes6()]
        return ((subnet, f"link {link}") for link, subnet in routes if not link.startswith(self._tag))


def _routes4() -> Iterator[tuple[str, IPv4Network]]:
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        words = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(words[n]), "little") for n in (1, 7))
        if mask:
            yield words[0], IPv4Network((address, mask.bit_count()), strict=False)


def _routes6() -> Iterator[tuple[str, IPv6Network]]:
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        for line in Path("/proc/net/ipv6_route").read_text().splitlines():
            words = line.split()
            subnet = IPv6Network((bytes.fromhex(words[0]), int(words[1], 16)))
            if 0 < subnet.prefixlen < 128 and not subnet.overlaps(_LINK_LOCAL) and not subnet.is_multicast:
                yield words[-1], subnet
