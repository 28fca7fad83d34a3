"""Which address a newcomer gets.

An address is held by a claim (`core.claims`) that is committed together with its holder, so two holders of one address
cannot both be acknowledged.  This module only chooses; the commit decides.

    10.32.0.0/16    10.32.0.1 is the gateway's; 10.32.0.2 is the first given, then .3, .4 ...; after the last, what
                    has become free from the start.  An address is so not given again soon after it was freed, while
                    connections and caches may still remember its last holder.
"""

from __future__ import annotations

from collections.abc import Container
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from coracle.core import claims
from coracle.core.errors import Exhausted
from coracle.core.kind import Reader
from coracle.core.object import Key

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network


def claim_of(network: str, address: Address) -> str:
    """The name under which an address is held: `address/pods/10.32.0.5`."""
    return f"address/{network}/{address}"


def mac_of(address: IPv4Address) -> str:
    """A link address made from the network address, as Docker and Weave do: 10.32.0.5 -> 02:42:0a:20:00:05.

    Locally administered and the same each time, so that nobody's neighbour table is wrong after a restart.
    """
    return "02:42:" + ":".join(f"{part:02x}" for part in address.packed)


class Addresses:
    """The addresses of one network, in turn.  Remembers which it gave last; begins after the highest one held.

    `pool` is the part of the subnet that is given out; `kept` are never given: the gateway's, and the reserved.
    """

    def __init__(self, network: str, pool: Subnet, kept: Container[Address | None] = ()) -> None:
        self.network, self.pool, self.kept = network, pool, kept
        self._first, self._last = int(pool.network_address), int(pool.broadcast_address)
        self._given: int | None = None

    def choose(self, reader: Reader) -> Address:
        """Raises Exhausted."""
        if self._given is None:
            self._given = self._highest(reader)
        size = self._last - self._first + 1
        start = self._given + 1 - self._first
        for step in range(size):
            number = self._first + (start + step) % size
            address = self._address(number)
            if address not in self.kept and reader.find(claims.TYPE, Key("", claim_of(self.network, address))) is None:
                self._given = number
                return address
        raise Exhausted(f"no address left in network {self.network} ({self.pool})", kind="Network", name=self.network)

    def _highest(self, reader: Reader) -> int:
        prefix = f"address/{self.network}/"
        names = (entry.key.name for entry in reader.entries(claims.TYPE))
        held = (ip_address(name.removeprefix(prefix)) for name in names if name.startswith(prefix))
        return max((int(address) for address in held if address in self.pool), default=self._first - 1)

    def _address(self, number: int) -> Address:
        return IPv4Address(number) if self.pool.version == 4 else IPv6Address(number)
