"""What a sandbox is plugged into: addresses and interfaces for the endpoints it wishes for, and which one leads out.

spec.endpoints (wishes)  --plugged()-->  status.endpoints (Plugged)  --ports_of()-->  Ports for the driver
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple, Protocol

from coracle.core import claims
from coracle.core.errors import AlreadyExists, CloudError, Invalid, NotFound, invalid
from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.engine.kinds.sandbox import Plugged
from coracle.net.addresses import Address, Addresses, Subnet, claim_of, mac_of
from coracle.net.api import Network, Port

_REMEMBERED = 4096  # networks whose last given address is known


class KnownNetworks(Protocol):
    """The networks that there are."""

    def find(self, name: str) -> Network:
        """Raises NotFound."""
        ...


class GivenNetworks:
    """Networks that never change."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = {network.name: network for network in networks}

    def find(self, name: str) -> Network:
        if name not in self._networks:
            raise NotFound(kind="Network", name=name)
        return self._networks[name]


class _Room(NamedTuple):
    """Where addresses are taken from: `pool` of them are given out, those in `kept` never."""

    network: str
    subnet: Subnet
    pool: Subnet
    kept: Container[Address | None]


class Plugs:
    """Chooses what a wish leaves open.  Remembers, by network, which address was given last."""

    def __init__(self, networks: KnownNetworks) -> None:
        self._networks = networks
        self._addresses: dict[tuple[str, Subnet], Addresses] = {}

    def plugged(self, wish: Mapping[str, Any], beside: Sequence[Plugged], reader: Reader) -> Plugged:
        """What `wish` becomes, beside the endpoints that are there.

        Raises: NotFound (the network), Invalid (an address of another subnet), AlreadyExists (address or interface
                taken), Exhausted.
        """
        network = self._networks.find(wish["network"])
        address = self._address(network, wish["address"], reader)
        address6 = self._address6(network, wish["address6"], reader)
        return {
            "network": network.name,
            "address": str(address),
            "prefix": network.subnet.prefixlen,
            "gateway": str(network.gateway),
            "address6": str(address6 or ""),
            "prefix6": network.subnet6.prefixlen if network.subnet6 else 0,
            "gateway6": str(network.gateway6 or ""),
            "mac": wish["mac"].lower() or mac_of(address),
            "interface": _interface(wish["interface"], [one["interface"] for one in beside]),
            "state": "ready",
        }

    def _address(self, network: Network, asked: str, reader: Reader) -> IPv4Address:
        subnet = network.subnet
        kept = {network.gateway, subnet.network_address, subnet.broadcast_address, *network.reserved}
        address = self._chosen(_Room(network.name, subnet, network.pool or subnet, kept), asked, reader)
        assert isinstance(address, IPv4Address)  # noqa: S101 - of an IPv4 subnet
        return address

    def _address6(self, network: Network, asked: str, reader: Reader) -> IPv6Address | None:
        subnet = network.subnet6
        if subnet is None:
            if asked:
                raise _foreign("address6", asked)
            return None
        kept = {network.gateway6, subnet.network_address, *network.reserved}
        address = self._chosen(_Room(network.name, subnet, network.pool6 or subnet, kept), asked, reader)
        assert isinstance(address, IPv6Address)  # noqa: S101 - of an IPv6 subnet
        return address

    def _chosen(self, room: _Room, asked: str, reader: Reader) -> Address:
        if asked:
            address = _asked(asked, room.subnet)
            claim = claim_of(room.network, address)
            if address in room.kept or reader.find(claims.TYPE, Key("", claim)) is not None:
                holder = claims.holder(reader, claim)
                raise AlreadyExists("Address already in use", kind="Address", name=str(address), holder=holder)
            return address
        addresses = self._addresses.get((room.network, room.pool))
        if addresses is None:
            if len(self._addresses) >= _REMEMBERED:
                self._addresses.clear()
            addresses = self._addresses[room.network, room.pool] = Addresses(room.network, room.pool)
        addresses.kept = room.kept  # the network may have been made anew
        return addresses.choose(reader)


def _asked(text: str, subnet: Subnet) -> Address:
    field = "address" if subnet.version == 4 else "address6"
    try:
        address = ip_address(text)
    except ValueError as error:
        raise Invalid([invalid(field, text, "must be an IP address")], kind="Sandbox") from error
    if address not in subnet:
        raise _foreign(field, text)
    return address


def _foreign(field: str, text: str) -> Invalid:
    said = "does not belong to any of this network's subnets"
    problems = [invalid(field, text, said)]
    return Invalid(problems, kind="Sandbox", message=f"invalid address {text}: It {said}")


def _interface(asked: str, taken: Sequence[str]) -> str:
    if not asked:
        return next(name for number in range(len(taken) + 1) if (name := f"eth{number}") not in taken)
    if asked in taken:
        raise AlreadyExists(f"interface {asked} is already in use in this sandbox", kind="Interface", name=asked)
    return asked


# -- which one leads out ---------------------------------------------------------------------------------------------


def networks_of(sandbox: Object, networks: KnownNetworks) -> dict[str, Network]:
    """The networks that the sandbox is plugged into, by name.  Raises NotFound, or why one is not there."""
    return {one["network"]: networks.find(one["network"]) for one in present(sandbox)}


def known_of(sandbox: Object, networks: KnownNetworks) -> dict[str, Network]:
    """Those of them that are there: the host may have taken the addresses of another while we were down."""
    found = {}
    for one in present(sandbox):
        with contextlib.suppress(CloudError):
            found[one["network"]] = networks.find(one["network"])
    return found


def primary(sandbox: Object, networks: Mapping[str, Network]) -> Plugged | None:
    """The endpoint that stands for the sandbox: the one that leads out, or the one that would."""
    there = [one for one in present(sandbox) if one["network"] in networks]
    return min(there, key=lambda one: _rank(sandbox, networks[one["network"]]), default=None)


def present(sandbox: Object) -> list[Plugged]:
    """The endpoints that the sandbox has, without those that leave it."""
    return [one for one in sandbox.status["endpoints"] if one["state"] != "leaving"]


def ports_of(sandbox: Object, networks: Mapping[str, Network]) -> list[Port]:
    """The plugs of its endpoints on `networks`."""
    leader, leader6 = (_leader(sandbox, networks, gateway) for gateway in ("gateway", "gateway6"))
    return [
        Port(
            id=port_id(sandbox.meta.name, one["network"]),
            network=one["network"],
            address=IPv4Address(one["address"]),
            netns_path=sandbox.status["netns_path"],
            mac=one["mac"],
            interface=one["interface"],
            address6=IPv6Address(one["address6"]) if one["address6"] else None,
            leads=leader == one["network"],
            leads6=leader6 == one["network"],
        )
        for one in present(sandbox)
        if one["network"] in networks
    ]


def bare_port(sandbox: Object, one: Plugged) -> Port:
    """The plug of an endpoint, for taking it out: its network may be gone."""
    address, path = IPv4Address(one["address"]), sandbox.status["netns_path"]
    return Port(port_id(sandbox.meta.name, one["network"]), one["network"], address, path, one["mac"])


def port_id(sandbox: str, network: str) -> str:
    return f"{sandbox}/{network}"


def _leader(sandbox: Object, networks: Mapping[str, Network], gateway: str) -> str:
    """The network through which everything else is reached: one that is not internal."""
    there = (one for one in present(sandbox) if one["network"] in networks)
    found = [networks[one["network"]] for one in there if dict(one)[gateway]]
    outward = [network for network in found if not network.internal]
    leader = min(outward, key=lambda network: _rank(sandbox, network), default=None)
    return leader.name if leader else ""


def _rank(sandbox: Object, network: Network) -> tuple[int, bool, str]:
    """Source: libnetwork's endpoint order; Docker's documentation of `--gw-priority`."""
    priorities = {wish["network"]: wish["priority"] for wish in sandbox.spec["endpoints"]}
    return (-priorities.get(network.name, 0), network.internal, network.name)
