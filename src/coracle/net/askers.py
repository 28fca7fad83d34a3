"""Who asks for a name: known by address, and with it which networks' names they see, and whether they may ask outside.

pods, bridge     open networks: whoever is in one of them sees the names of all of them
shop, inner      others: only who is plugged into them sees their names
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

from coracle.net.addresses import Address
from coracle.net.api import Network

_REVERSE = (".in-addr.arpa", ".ip6.arpa")


@dataclass(frozen=True, slots=True)
class Scope:
    """A network whose askers have names of their own.

    outside   whether they may ask for other names at all
    gateways  where they are answered
    open      see above
    """

    name: str
    subnet: IPv4Network
    outside: bool = True
    gateways: tuple[Address, ...] = ()
    subnet6: IPv6Network | None = None
    open: bool = False

    def has(self, address: Address) -> bool:
        return address in self.subnet or (self.subnet6 is not None and address in self.subnet6)


def scope_of(network: Network) -> Scope:
    """How the names of a network are asked for."""
    gateways = (network.gateway, network.gateway6) if network.gateway6 is not None else (network.gateway,)
    return Scope(
        network.name,
        network.subnet,
        outside=not network.internal,
        gateways=gateways,
        subnet6=network.subnet6,
        open=not network.isolated,
    )


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


class Sight(NamedTuple):
    """What an asker sees: the names of `networks`, the first one's first; of others what `servers` know (see Asker)."""

    networks: Sequence[str] = ()
    servers: tuple[str, ...] = ()
    outside: bool = True


class Askers:
    """Everybody that is known.  Others are judged by their subnets; who is of none is a stranger, or the host."""

    def __init__(self) -> None:
        self._scopes: dict[str, Scope] = {}
        self._askers: dict[str, Asker] = {}
        self._by_address: dict[str, Asker] = {}
        self._open: tuple[str, ...] = ()

    @property
    def scopes(self) -> Iterable[Scope]:
        return self._scopes.values()

    def add(self, scope: Scope) -> None:
        self._scopes[scope.name] = scope
        self._sort()

    def remove(self, name: str) -> Scope | None:
        scope = self._scopes.pop(name, None)
        self._sort()
        return scope

    def know(self, asker: Asker) -> None:
        """From now on this is who asks from its addresses; what was known by its name is forgotten."""
        self.forget(asker.name)
        self._askers[asker.name] = asker
        self._by_address.update(dict.fromkeys(asker.addresses, asker))

    def forget(self, name: str) -> None:
        """Nothing where nobody is known by this name."""
        asker = self._askers.pop(name, None)
        for address in asker.addresses if asker is not None else ():
            if self._by_address.get(address) is asker:
                del self._by_address[address]

    def sight(self, client: str) -> Sight | None:
        """What who asks from the address `client` sees; None: a stranger, a neighbour of the host for example."""
        asker = self._by_address.get(client)
        if asker is not None:
            return Sight(self._with_open(asker.networks), asker.servers, asker.outside)
        address = ip_address(client.partition("%")[0])
        scope = next((scope for scope in self._scopes.values() if scope.has(address)), None)
        if scope is not None:
            return Sight(self._with_open((scope.name,)), outside=scope.outside)
        return Sight() if address.is_loopback or not self._scopes else None

    def is_ours(self, name: str) -> bool:
        """Whether `name` asks for the name of an address of our networks: nobody else knows better."""
        if not name.endswith(_REVERSE):
            return False
        address = _read_reverse(name)
        return address is not None and any(scope.has(address) for scope in self._scopes.values())

    def _sort(self) -> None:
        self._open = tuple(scope.name for scope in self._scopes.values() if scope.open)

    def _with_open(self, networks: tuple[str, ...]) -> tuple[str, ...]:
        if not any(network in self._open for network in networks):
            return networks
        return (*networks, *(name for name in self._open if name not in networks))


def _read_reverse(name: str) -> Address | None:
    """5.0.32.10.in-addr.arpa -> 10.32.0.5; None where it is not a whole address."""
    labels = name.split(".")[:-2][::-1]
    try:
        if name.endswith(".in-addr.arpa"):
            return IPv4Address(".".join(labels))
        digits = "".join(labels) if all(len(label) == 1 for label in labels) else ""
        return ip_address(bytes.fromhex(digits)) if len(digits) == 32 else None
    except ValueError:
        return None
