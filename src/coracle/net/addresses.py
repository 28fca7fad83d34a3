"""Which address a newcomer gets.

An address is held by a claim (`core.claims`) that is committed together with its holder, so two holders of one address
cannot both be acknowledged.  This module only chooses; the commit decides, and who lost chooses again.

    10.32.0.0/16    10.32.0.1 is the gateway's; 10.32.0.2 is the first given, then .3, .4 ...; after the last, what
                    has become free from the start.  An address is so not given again soon after it was freed, while
                    connections and caches may still remember its last holder.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from coracle.core import claims
from coracle.core.errors import Exhausted
from coracle.core.kind import Reader
from coracle.core.object import Key


def claim_of(network: str, address: IPv4Address) -> str:
    """The name under which an address is held: `address/pods/10.32.0.5`."""
    return f"address/{network}/{address}"


def choose_address(subnet: IPv4Network, reader: Reader, network: str, after: IPv4Address | None = None) -> IPv4Address:
    """The first free address after `after`, and from the start once the end is reached.

    Raises: Exhausted.
    """
    first, last = int(subnet.network_address) + 2, int(subnet.broadcast_address) - 1
    size = last - first + 1
    start = 0 if after is None else int(after) + 1 - first
    for step in range(size):
        address = IPv4Address(first + (start + step) % size)
        if reader.find(claims.TYPE, Key("", claim_of(network, address))) is None:
            return address
    raise Exhausted(f"no address left in network {network} ({subnet})", kind="Network", name=network)


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """The first address: the host's own in this network."""
    return subnet.network_address + 1


def mac_of(address: IPv4Address) -> str:
    """A link address made from the network address, as Docker and Weave do: 10.32.0.5 -> 02:42:0a:20:00:05.

    Locally administered and the same each time, so that nobody's neighbour table is wrong after a restart.
    """
    return "02:42:" + ":".join(f"{part:02x}" for part in address.packed)


class Addresses:
    """The addresses of one network, in turn.  Remembers which it gave last; begins after the highest one held."""

    def __init__(self, network: str, subnet: IPv4Network) -> None:
        self.network, self.subnet = network, subnet
        self._last: IPv4Address | None = None

    def choose(self, reader: Reader) -> IPv4Address:
        """Raises Exhausted."""
        if self._last is None:
            self._last = _highest(reader, self.network, self.subnet)
        self._last = choose_address(self.subnet, reader, self.network, self._last)
        return self._last


def _highest(reader: Reader, network: str, subnet: IPv4Network) -> IPv4Address | None:
    prefix = claim_of(network, IPv4Address(0)).removesuffix("0.0.0.0")  # noqa: S104 - text
    names = (entry.key.name for entry in reader.entries(claims.TYPE))
    held = [IPv4Address(name.removeprefix(prefix)) for name in names if name.startswith(prefix)]
    return max((address for address in held if address in subnet), default=None)
