"""Publishes containers' ports: wishes become Forwards of the host to the container.

Every container is an owner of its own among the Forwards (`docker/<id>`), so a port belongs to one container, service,
pod or process of the host, and whoever comes second is told whose it is.  Ports that we choose are 32768 to 60999, in
turn, so that one is not given again soon after it was freed.

    publish     before the program starts: all ports of a container, or none
    follow      the container moved to another address (connect, disconnect): the same ports lead there
    restore     as `follow`, after a restart of the daemon
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Self

from coracle.core.errors import AlreadyExists, Exhausted
from coracle.core.object import Object
from coracle.docker import portmaps
from coracle.docker.networks.endpoints import Lookup
from coracle.docker.networks.requests import BINDING
from coracle.docker.networks.settings import endpoint_id
from coracle.docker.portmaps import Wish
from coracle.net.api import Forward, Target, Transport
from coracle.net.forwards import Forwards

FIRST, LAST = 32768, 60999
ANY, ANY6 = IPv4Address(0), IPv6Address(0)
LOOPBACK, LOOPBACK6 = IPv4Address("127.0.0.1"), IPv6Address("::1")

Chosen = tuple[Wish, int]  # where, and on which port of the host
Bound = dict[str, list[dict[str, str]] | None]  # NetworkSettings.Ports


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a container is reached."""

    address: IPv4Address | None
    address6: IPv6Address | None

    @classmethod
    def of(cls, way: Mapping[str, Any]) -> Self:
        """Of an endpoint of its sandbox."""
        address, address6 = way.get("address"), way.get("address6")
        return cls(IPv4Address(address) if address else None, IPv6Address(address6) if address6 else None)


class Ports:
    """`forwards`: where the ports of all APIs meet; `lookup` finds networks."""

    def __init__(self, forwards: Forwards, lookup: Lookup) -> None:
        self._forwards, self._lookup = forwards, lookup
        self._next = FIRST

    async def publish(self, container: Object, sandbox: Object) -> Bound:
        """Publish what the container wants; returns what it got, for status.details.Ports.

        Raises: Exhausted in Docker's words: a port is taken, or none is free.  Nothing is published then.
        """
        details = container.spec["details"]
        wishes, way = portmaps.wishes(details), self._way(sandbox)
        if way is None or not wishes:
            return portmaps.shown(details, ())
        host = _default_host(self._lookup(way["network"]))
        wishes = [replace(wish, host=wish.host or host) for wish in wishes]
        return portmaps.shown(details, await self._take(container, wishes, _Place.of(way)))

    async def follow(self, container: Object, sandbox: Object, bound: Mapping[str, Any]) -> None:
        """Let the ports that it has lead to where it is now.  `bound` as `publish` returned it.  Raises as that."""
        way = self._way(sandbox)
        chosen = list(_chosen(bound)) if way is not None else []
        try:
            await self._replace(container, chosen, _Place.of(way or {}))
        except AlreadyExists as error:
            raise _refused(container, chosen, error) from error

    async def release(self, id: str) -> None:
        """Free the ports of the container with this id.  Idempotent."""
        if self._forwards.of(_owner(id)):
            await self._forwards.replace(_owner(id), ())

    def is_reached(self, sandbox: Object) -> bool:
        """Whether ports can lead to it: it has a network that is not internal."""
        return self._way(sandbox) is not None

    # -- how -----------------------------------------------------------------------------------------------------

    def _way(self, sandbox: Object) -> Mapping[str, Any] | None:
        """The endpoint through which it is reached from outside: the one that leads out."""
        priorities = {wish["network"]: wish["priority"] for wish in sandbox.spec["endpoints"]}
        outward = [
            one
            for one in sandbox.status["endpoints"]
            if one["state"] != "leaving" and one["address"] and not self._lookup(one["network"]).spec["internal"]
        ]
        return min(outward, key=lambda one: (-priorities.get(one["network"], 0), one["network"]), default=None)

    async def _take(self, container: Object, wishes: Sequence[Wish], place: _Place) -> Sequence[Chosen]:
        """As many tries as there are ports to choose: each refusal rules one port out."""
        taken: set[tuple[Transport, int]] = set()
        while True:
            chosen = list(self._choose(container, wishes, taken, place))
            try:
                await self._replace(container, chosen, place)
            except AlreadyExists as error:
                lost = _lost(chosen, error)
                if lost is None or not lost[0].is_open:
                    raise _refused(container, chosen, error) from error
                taken.add((lost[0].transport, lost[1]))
            else:
                return chosen

    def _choose(
        self, container: Object, wishes: Sequence[Wish], taken: set[tuple[Transport, int]], place: _Place
    ) -> Iterator[Chosen]:
        """A number for each wish; one for all addresses becomes one for each family.  Raises Exhausted."""
        mine = {(wish.transport, wish.first) for wish in wishes if not wish.is_open}
        for wish in wishes:
            number = wish.first
            if wish.is_open:
                number = self._free(wish, taken | mine)
                if not number:
                    raise _none_left(container, wish)
                mine.add((wish.transport, number))
            if wish.host is not None:
                yield wish, number
                continue
            yield replace(wish, host=ANY), number
            if place.address6 is not None:
                yield replace(wish, host=ANY6), number

    def _free(self, wish: Wish, taken: set[tuple[Transport, int]]) -> int:
        """A port that nobody of ours has; 0: there is none."""
        first, last = (wish.first, wish.last) if wish.first else (FIRST, LAST)
        start = first if wish.first else self._next
        for step in range(last - first + 1):
            number = first + (start - first + step) % (last - first + 1)
            if (wish.transport, number) not in taken and not self._forwards.holder(wish.transport, number):
                if not wish.first:
                    self._next = number + 1 if number < last else first
                return number
        return 0

    async def _replace(self, container: Object, chosen: Sequence[Chosen], place: _Place) -> None:
        forwards = [_forward(container, wish, number, place) for wish, number in chosen]
        await self._forwards.replace(_owner(container.meta.name), forwards)


def _forward(container: Object, wish: Wish, number: int, place: _Place) -> Forward:
    """Raises Exhausted: the host has no such address, or the container none of that family."""
    host = wish.host or ANY
    target = place.address if host.version == 4 else place.address6
    if host == LOOPBACK6:
        said = "nothing is forwarded from the loopback of IPv6 (publish on 127.0.0.1, or on [::])"
        raise Exhausted(f"{_failed(container)}: Bind for {_place(wish, number)} failed: {said}", kind="Port")
    if target is None:
        said = "the container has no IPv6 address (docker network create --ipv6)"
        raise Exhausted(f"{_failed(container)}: Bind for {_place(wish, number)} failed: {said}", kind="Port")
    everywhere, local = host in (ANY, ANY6), host == LOOPBACK
    if not everywhere and not local:
        _check_ours(container, wish, number)
    return Forward(
        id=f"{container.meta.name[:12]}/{wish.transport}/{host}:{number}",
        transport=wish.transport,
        address=None if everywhere or local else host,
        port=number,
        targets=(Target(target, wish.port),),
        owner=f"container {container.spec['name']}",
        loopback_only=local,
    )


def _check_ours(container: Object, wish: Wish, number: int) -> None:
    """Raises Exhausted: not an address of this host."""
    family = socket.AF_INET if isinstance(wish.host, IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(wish.host), 0))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                said = f"failed to bind host port for {_place(wish, number)}/{wish.protocol}"
                raise Exhausted(f"{_failed(container)}: {said}: cannot assign requested address") from error
            raise


def _default_host(network: Object) -> IPv4Address | None:
    """Where ports are published that name no address of the host; None: everywhere."""
    address = IPv4Address((network.spec["details"].get("Options") or {}).get(BINDING) or 0)
    return address if int(address) else None


def _chosen(bound: Mapping[str, Any]) -> Iterator[Chosen]:
    for key, those in bound.items():
        for one in those or ():
            (wish,) = portmaps.wishes({"HostConfig": {"PortBindings": {key: [one]}}})
            yield wish, wish.first


def _lost(chosen: Sequence[Chosen], error: AlreadyExists) -> Chosen | None:
    """Which of them could not be had: the error's name is "TCP/80"."""
    return next(((wish, n) for wish, n in chosen if f"{wish.transport}/{n}" == error.name), None)


def _refused(container: Object, chosen: Sequence[Chosen], error: AlreadyExists) -> Exhausted:
    lost = _lost(chosen, error)
    place = _place(*lost) if lost is not None else error.name
    whose = f" (by {error.holder})" if error.holder else ""
    said = f"{_failed(container)}: Bind for {place} failed: port is already allocated{whose}"
    return Exhausted(said, kind="Port", name=error.name)


def _none_left(container: Object, wish: Wish) -> Exhausted:
    said = (
        f"Bind for {_place(wish, wish.first)} failed: port is already allocated"
        if wish.first
        else ("all ports are allocated")
    )
    return Exhausted(f"{_failed(container)}: {said}", kind="Port")


def _failed(container: Object) -> str:
    name = container.spec["name"]
    return f"driver failed programming external connectivity on endpoint {name} ({endpoint_id(container, name)})"


def _place(wish: Wish, number: int) -> str:
    host = str(wish.host) if wish.host is not None else "0.0.0.0"  # noqa: S104 - text
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def _owner(id: str) -> str:
    return f"docker/{id}"
