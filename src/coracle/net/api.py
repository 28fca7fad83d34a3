"""Networks, plugs and steering: the NetDriver Protocol and the nouns of the network.

    Network   a bridge with one IPv4 subnet; its first address is the gateway: there the host and the names are reached
    Port      a plug: one address of one network in one network namespace (a pod, a container, a machine)
    Forward   a match and its targets: cluster IP, node port, host port, `docker -p` and floating IP are all Forwards

`steer` is always told the whole set of Forwards, and applies the difference in one transaction: there is no incremental
state that could drift from what was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal, Protocol

Transport = Literal["TCP", "UDP", "SCTP"]


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge of the host.  `bridge` is the link's name (at most 15 bytes, with the cloud's prefix).

    `internal`: no way to the outside.  `masquerade`: leave through the host's own address.
    """

    name: str
    bridge: str
    subnet: IPv4Network
    gateway: IPv4Address
    mtu: int = 1500
    internal: bool = False
    masquerade: bool = True


@dataclass(frozen=True, slots=True)
class Port:
    """One plug.  `id` is unique in the cloud; `netns_path` a pinned namespace; `interface` its name inside."""

    id: str
    network: str
    address: IPv4Address
    netns_path: str
    mac: str
    interface: str = "eth0"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    address: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class Forward:
    """What arrives for `address`:`port` goes to one of `targets`, chosen at random.

    address        None: every address of the node itself, 127.0.0.1 included
    targets        empty: the connection is refused at once
    affinity_s     keep a client (by its address) on its target for so long after its last connection; None: no
    owner          who wants it, for messages: "Service default/web"
    loopback_only  with address None: only on 127.0.0.1
    """

    id: str
    transport: Transport
    address: IPv4Address | None
    port: int
    targets: tuple[Target, ...]
    affinity_s: int | None = None
    owner: str = ""
    loopback_only: bool = False


class NetDriver(Protocol):
    """Makes networks, plugs and rules in the kernel.  Everything carries the cloud's prefix and is found again after a
    restart by that prefix; every method is idempotent."""

    async def ensure_network(self, network: Network) -> None: ...

    async def remove_network(self, network: Network) -> None: ...

    async def make_netns(self, path: str) -> None:
        """Make a network namespace (loopback up) and pin it at `path`."""
        ...

    async def drop_netns(self, path: str) -> None: ...

    async def plug(self, network: Network, port: Port) -> None:
        """Connect the port's namespace: link, address, default route, neighbours can reach it on return.

        Raises: Exhausted (the kernel has no more links), Broken.
        """
        ...

    async def unplug(self, port: Port) -> None: ...

    async def steer(self, forwards: Sequence[Forward]) -> None:
        """Make exactly these Forwards true, in one transaction."""
        ...

    async def purge(self) -> None:
        """Remove everything of this cloud from the kernel, and put changed sysctls back."""
        ...
