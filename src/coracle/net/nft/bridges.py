"""Bridges, one for each network.  Every call blocks for some milliseconds; called from threads.

A bridge is known by its name, and as this cloud's by its group: a user may have called it as he likes.
"""

from __future__ import annotations

import errno
import hashlib
import socket
from ipaddress import IPv4Network
from pathlib import Path

from coracle.core.errors import AlreadyExists, Unsupported
from coracle.linux import netlink, routes
from coracle.linux.netlink import Link, Message, Netlink
from coracle.linux.routes import Route
from coracle.net.addresses import Subnet, mac_of
from coracle.net.api import Network
from coracle.net.nft import sysctls

NO_IPV6 = (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)  # a kernel that speaks none needs not be told to be quiet
_SETTLING_S = 2.0
_OURS, _DOOMED = 0x2000_0000, 0x4000_0000

# Of each bridge.  A container could otherwise make the host believe that it is a router.
_SYSCTLS = {
    "net/ipv4/conf/{}/route_localnet": "1",  # answers to 127.0.0.1 come in here; see the chain `guard`
    "net/ipv4/conf/{}/accept_redirects": "0",
    "net/ipv4/conf/{}/send_redirects": "0",
    "net/ipv6/conf/{}/accept_ra": "0",
    "net/ipv6/conf/{}/accept_redirects": "0",
}


class Groups:
    """The numbers by which the kernel knows the links of one cloud: its bridges, and what is about to be deleted."""

    def __init__(self, prefix: str) -> None:
        number = int.from_bytes(hashlib.blake2s(prefix.encode(), digest_size=3).digest())
        self.ours, self.doomed = _OURS | number, _DOOMED | number


def is_of_a_cloud(group: int) -> bool:
    """Whether the number is a group of some cloud's."""
    return group & ~0xFF_FFFF in (_OURS, _DOOMED)


def links_with_routers() -> list[str]:
    """The host's own links that listen to routers of IPv6 as long as the host forwards nothing.  Raises OSError."""
    with Netlink() as kernel:
        own = [link.name for link in netlink.links(kernel) if not link.master and not is_of_a_cloud(link.group)]
    return [name for name in own if name != "lo" and sysctls.read_if_known(f"net/ipv6/conf/{name}/accept_ra") == "1"]


class Bridges:
    """The addresses of `service_range` lead to the bridge of the network `service_network`: to be forwarded they need
    to lead somewhere."""

    def __init__(self, groups: Groups, service_range: IPv4Network | None, service_network: str) -> None:
        self._groups = groups
        self._service_range, self._service_network = service_range, service_network
        self._indexes: dict[str, int] = {}

    def index(self, network: str) -> int:
        """The number of the network's bridge; 0 where it is not known."""
        return self._indexes.get(network, 0)

    def ensure(self, network: Network) -> None:
        """Raises AlreadyExists (the bridge's name or the addresses are in use), Unsupported (no IPv6), OSError."""
        with Netlink() as kernel:
            bridge = self._ensure_bridge(kernel, network)
            wanted = [routes.new_address(bridge.index, network.gateway, network.subnet.prefixlen)]
            self._settle(network)
            if network.subnet6 is not None and network.gateway6 is not None:
                wanted.append(routes.new_address(bridge.index, network.gateway6, network.subnet6.prefixlen))
            if not bridge.up:
                wanted.append(netlink.set_up(bridge.index))
            if bridge.mtu != network.mtu:
                wanted.append(netlink.set_mtu(bridge.index, network.mtu))
            kernel.send(*wanted, ignore=(errno.EEXIST,))
            if network.gateway6 is not None:
                routes.wait_until_local(kernel, [network.gateway6], _SETTLING_S)
            if network.name == self._service_network and self._service_range is not None:
                self._lead_services(kernel, network, bridge)
        self._indexes[network.name] = bridge.index

    def _settle(self, network: Network) -> None:
        for name, value in _SYSCTLS.items():
            sysctls.write_if_known(name.format(network.bridge), value)
        silent = f"net/ipv6/conf/{network.bridge}/disable_ipv6"
        if network.subnet6 is None:
            sysctls.write_if_known(silent, "1")
            return
        if not Path("/proc/sys", silent).exists():
            raise Unsupported(f"network {network.name} wants IPv6, which this kernel does not have", status=501)
        sysctls.write(silent, "0")

    def _ensure_bridge(self, kernel: Netlink, network: Network) -> Link:
        link = netlink.find_link(kernel, network.bridge)
        if link is None:
            for subnet in (network.subnet, network.subnet6):
                if subnet is not None:
                    _refuse_overlap(kernel, subnet, f"network {network.name}")
            made = netlink.new_bridge(network.bridge, mac_of(network.gateway), network.mtu, self._groups.ours)
            up = netlink.set_up_by_name(network.bridge)
            kernel.send(made, netlink.quiet(network.bridge), up, ignore=NO_IPV6)
            link = netlink.find_link(kernel, network.bridge)
        if link is None or link.kind != "bridge" or link.group != self._groups.ours:
            said = f"link {network.bridge} exists and is not a bridge of this cloud"
            raise AlreadyExists(said, kind="Network", name=network.name, holder=network.bridge)
        return link

    def _lead_services(self, kernel: Netlink, network: Network, bridge: Link) -> None:
        assert self._service_range is not None  # noqa: S101 - the caller asked
        route = Route(self._service_range, bridge.index, source=network.gateway)
        if route not in routes.routes(kernel):
            _refuse_overlap(kernel, self._service_range, "the services")
            kernel.send(routes.new_route(route))

    def remove(self, network: Network) -> None:
        """Nothing where there is none.  Raises OSError."""
        self._indexes.pop(network.name, None)
        with Netlink() as kernel:
            link = netlink.find_link(kernel, network.bridge)
            if link is not None and link.group == self._groups.ours:
                kernel.send(netlink.delete_link(network.bridge), ignore=(errno.ENODEV,))

    def forget(self) -> None:
        self._indexes.clear()

    def neighbours(self, network: str, addresses: list[routes.Address]) -> list[Message]:
        """What takes addresses out of the bridge's table."""
        index = self.index(network)
        return [routes.delete_neighbour(index, address) for address in addresses] if index else []


def _refuse_overlap(kernel: Netlink, subnet: Subnet, what: str) -> None:
    """Refuse addresses that already lead elsewhere by a route as narrow as ours, or narrower."""
    family = socket.AF_INET if subnet.version == 4 else socket.AF_INET6
    for route in routes.routes(kernel, family):
        if route.to.version == subnet.version and route.to.prefixlen >= subnet.prefixlen and route.to.overlaps(subnet):
            raise AlreadyExists(f"the addresses of {what} ({subnet}) are in use: {route.to}", kind="Network", name=what)
