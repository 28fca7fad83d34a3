"""Networks, plugs and steering: the NetDriver Protocol and the nouns of the network.

    Network   a bridge with an IPv4 subnet, and an IPv6 one where wanted; at its gateway the host and the names are
    Port      a plug: the addresses of one network in one network namespace (a pod, a container, a machine)
    Forward   a match and its targets: cluster IP, node port, host port, `docker -p` and floating IP are all Forwards

`steer` is always told the whole set of Forwards, and applies the difference in one transaction: there is no incremental
state that could drift from what was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, Protocol

Transport = Literal["TCP", "UDP", "SCTP"]


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge of the host.  `bridge` is the link's name (at most 15 bytes, with the cloud's prefix).

    internal     no way to the outside, nor to other networks
    masquerade   leave through the host's own address
    isolated     packets of other networks do not get in, nor its own into theirs; those that are not isolated reach
                 each other.  Forwards lead into any but internal ones
    icc          its plugs reach each other (Docker's word for it)
    pool, pool6  the parts of the subnets that are given out; None: all
    reserved     addresses that are not given out
    """

    name: str
    bridge: str
    subnet: IPv4Network
    gateway: IPv4Address
    mtu: int = 1500
    internal: bool = False
    masquerade: bool = True
    isolated: bool = True
    icc: bool = True
    pool: IPv4Network | None = None
    subnet6: IPv6Network | None = None
    gateway6: IPv6Address | None = None
    pool6: IPv6Network | None = None
    reserved: tuple[IPv4Address | IPv6Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """One plug.  `id` is unique in the cloud; `netns_path` a pinned namespace; `interface` its name inside.

    `leads`, `leads6`: the namespace's way to everywhere goes through this plug (never through an internal network).
    """

    id: str
    network: str
    address: IPv4Address
    netns_path: str
    mac: str
    interface: str = "eth0"
    address6: IPv6Address | None = None
    leads: bool = True
    leads6: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Target:
    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, slots=True)
class Forward:
    """What arrives for `address`:`port` goes to one of `targets`, chosen at random.

    address        None: every address of the node itself, 127.0.0.1 included; of IPv6 where the targets are
    targets        empty: the connection is refused at once
    affinity_s     keep a client (by its address) on its target for so long after its last connection; None: no.
                   Of IPv4 only: nft 1.0.6 dies of the rule's twin (ValueError)
    owner          who wants it, for messages: "Service default/web"
    sources        who may come, of those that are not the node itself; None: everybody.  Others get no answer
    loopback_only  with address None: only on 127.0.0.1.  Nothing is forwarded from ::1 (ValueError): the kernel drops
                   what leaves that loopback; connections to it are refused at once
    """

    id: str
    transport: Transport
    address: IPv4Address | IPv6Address | None
    port: int
    targets: tuple[Target, ...]
    affinity_s: int | None = None
    owner: str = ""
    loopback_only: bool = False
    sources: tuple[IPv4Network | IPv6Network, ...] | None = None

    def __post_init__(self) -> None:
        if self.affinity_s is not None and self.version == 6:
            raise ValueError(f"{self.id}: clients cannot be kept on their targets by IPv6")
        if self.version == 6 and (self.loopback_only or self.address == IPv6Address("::1")):
            raise ValueError(f"{self.id}: nothing is forwarded from ::1")
        if any(source.version != self.version for source in self.sources or ()):
            raise ValueError(f"{self.id}: who may come is of the other family")

    @property
    def version(self) -> int:
        """4 or 6: all its addresses are of one sort."""
        if self.address is not None:
            return self.address.version
        return self.targets[0].address.version if self.targets else 4


class NetDriver(Protocol):
    """Makes networks, plugs and rules in the kernel.  Everything carries the cloud's prefix and is found again after a
    restart by that prefix; every method is idempotent."""

    async def ensure_network(self, network: Network) -> None: ...

    async def remove_network(self, network: Network) -> None: ...

    async def make_netns(self, path: str, users_path: str = "") -> None:
        """Make a network namespace (loopback up) and pin it at `path`.

        `users_path`: where the user namespace is pinned that it belongs to; "": the host's.
        """
        ...

    async def drop_netns(self, path: str, ports: Sequence[Port] = ()) -> None:
        """Take the pin away.  `ports` reach nobody any more on return; their links go with the namespace."""
        ...

    async def plug(self, network: Network, port: Port) -> None:
        """Connect the port's namespace: link, addresses, routes; neighbours can reach it on return.

        A namespace may have several plugs.  Plugging again makes true what is not, also which plug leads out.
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
