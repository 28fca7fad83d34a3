"""Bridges, plugs and namespaces in the kernel.  Every call blocks for about a millisecond; called from threads.

A plug's address is its own alone (/32), with the gateway as the way to everything, neighbours included.  All packets
so pass the node's network layer, where answers of a forwarded connection find their way back; no filtering inside the
bridge (br_netfilter) is needed.  Who has which link address is fixed on both sides: nobody ever has to ask.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from coracle.core.errors import AlreadyExists, Broken, CloudError, Exhausted
from coracle.linux import netlink, netns, routes
from coracle.linux.netlink import Link, Netlink, Pair, Refused
from coracle.linux.routes import Route
from coracle.net.addresses import mac_of
from coracle.net.api import Network, Port
from coracle.net.nft import sysctls

_EVERYWHERE = IPv4Network("0.0.0.0/0")
_NO_MORE = (errno.EXFULL, errno.ENOMEM, errno.ENFILE, errno.ENOBUFS)
_NO_IPV6 = (errno.EAFNOSUPPORT,)  # a kernel that speaks none needs not be told to be quiet
_SETTLING_S = 2.0

# Of each bridge.  Nothing of IPv6: a container could otherwise make the host believe it is a router.
_BRIDGE_SYSCTLS = {
    "net/ipv4/conf/{}/route_localnet": "1",  # answers to 127.0.0.1 come in here; see the chain `guard`
    "net/ipv4/conf/{}/accept_redirects": "0",
    "net/ipv4/conf/{}/send_redirects": "0",
    "net/ipv6/conf/{}/accept_ra": "0",
    "net/ipv6/conf/{}/disable_ipv6": "1",
}

# Of each new namespace, before it has any link but its loopback.
_NAMESPACE_SYSCTLS = {
    "net/ipv4/conf/all/accept_redirects": "0",
    "net/ipv4/conf/default/accept_redirects": "0",
    "net/ipv4/ip_unprivileged_port_start": "0",  # as Docker and containerd: no port of a container is privileged
    "net/ipv4/ping_group_range": "0 2147483647",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/disable_ipv6": "1",  # the loopback keeps ::1
}


class Links:
    """Links whose names begin with `prefix` (at most 7 bytes) are ours.

    The addresses of `service_range` lead to the bridge of the network `service_network`: to be forwarded they need
    to lead somewhere.
    """

    def __init__(self, prefix: str, service_range: IPv4Network | None, service_network: str) -> None:
        self._prefix = prefix
        self._service_range, self._service_network = service_range, service_network
        self._bridges: dict[str, str] = {}

    def link_name(self, port_id: str) -> str:
        """The host's end of a plug."""
        return self._prefix + hashlib.blake2s(port_id.encode(), digest_size=4).hexdigest()

    # -- networks ------------------------------------------------------------------------------------------------

    def ensure_network(self, network: Network) -> None:
        """Raises AlreadyExists (the bridge's name or the addresses are in use), Broken."""
        with Netlink() as kernel:
            bridge = self._ensure_bridge(kernel, network)
            for name, value in _BRIDGE_SYSCTLS.items():
                sysctls.write_if_known(name.format(network.bridge), value)
            wanted = [routes.new_address(bridge.index, network.gateway, network.subnet.prefixlen)]
            if not bridge.up:
                wanted.append(netlink.set_up(bridge.index))
            if bridge.mtu != network.mtu:
                wanted.append(netlink.set_mtu(bridge.index, network.mtu))
            kernel.send(*wanted, ignore=(errno.EEXIST,))
            if network.name == self._service_network and self._service_range is not None:
                self._lead_services(kernel, network, bridge)
        self._bridges[network.name] = network.bridge

    def _ensure_bridge(self, kernel: Netlink, network: Network) -> Link:
        link = netlink.find_link(kernel, network.bridge)
        if link is None:
            _refuse_overlap(kernel, network.subnet, f"network {network.name}")
            made = netlink.new_bridge(network.bridge, mac_of(network.gateway), network.mtu)
            up = netlink.set_up_by_name(network.bridge)
            kernel.send(made, netlink.quiet(network.bridge), up, ignore=_NO_IPV6)
            link = netlink.find_link(kernel, network.bridge)
        if link is None or link.kind != "bridge":
            said = f"link {network.bridge} exists and is not a bridge"
            raise AlreadyExists(said, kind="Network", name=network.name, holder=network.bridge)
        return link

    def _lead_services(self, kernel: Netlink, network: Network, bridge: Link) -> None:
        assert self._service_range is not None  # noqa: S101 - the caller asked
        route = Route(self._service_range, bridge.index, source=network.gateway)
        if route not in routes.routes(kernel):
            _refuse_overlap(kernel, self._service_range, "the services")
            kernel.send(routes.new_route(route))

    def remove_network(self, network: Network) -> None:
        self._bridges.pop(network.name, None)
        with Netlink() as kernel:
            kernel.send(netlink.delete_link(network.bridge), ignore=(errno.ENODEV,))

    # -- namespaces ----------------------------------------------------------------------------------------------

    def make_netns(self, path: str) -> None:
        """Raises OSError."""
        if netns.make(path):
            with netns.entered(path):
                for name, value in _NAMESPACE_SYSCTLS.items():
                    sysctls.write_if_known(name, value)
                with Netlink() as inside:
                    inside.send(netlink.set_up(1))

    # -- plugs ---------------------------------------------------------------------------------------------------

    def plug(self, network: Network, port: Port) -> None:
        """Raises Exhausted, Broken."""
        try:
            self._plug(network, port)
        except OSError as error:
            raise _worded(error, port) from error

    def _plug(self, network: Network, port: Port) -> None:
        name = self.link_name(port.id)
        with Netlink() as kernel:
            bridge = netlink.find_link(kernel, network.bridge)
            if bridge is None:
                raise Broken(f"network {network.name} has no bridge", kind="Network", name=network.name)
            present = netlink.find_link(kernel, name)
            if present is not None and not self._is_whole(present, bridge, port):
                kernel.send(netlink.delete_link(name), ignore=(errno.ENODEV,))
                present = None
            if present is None:
                with netns.opened(port.netns_path) as netns_fd:
                    pair = Pair(name, bridge.index, network.mtu, port.interface, port.mac, netns_fd)
                    made = (netlink.new_pair(pair), netlink.quiet(name), netlink.let_return(name))
                    kernel.send(*made, netlink.set_up_by_name(name), ignore=_NO_IPV6)
                with netns.entered(port.netns_path):
                    _configure(network, port)
            kernel.send(routes.new_neighbour(bridge.index, port.address, port.mac))
            _wait_operating(kernel, name)
            _wait_operating(kernel, network.bridge)  # the first plug is what brings a bridge to work

    def _is_whole(self, link: Link, bridge: Link, port: Port) -> bool:
        """Whether a plug found from before is as it should be."""
        if link.master != bridge.index or not link.up:
            return False
        with netns.entered(port.netns_path), Netlink() as inside:
            peer = netlink.find_link(inside, port.interface)
            return peer is not None and any(
                (index, address) == (peer.index, port.address) for index, address, _ in routes.addresses(inside)
            )

    def unplug(self, port: Port) -> None:
        """Raises OSError."""
        with Netlink() as kernel:
            kernel.send(netlink.delete_link(self.link_name(port.id)), ignore=(errno.ENODEV,))
            bridge = netlink.find_link(kernel, self._bridges.get(port.network, ""))
            if bridge is not None:
                kernel.send(routes.delete_neighbour(bridge.index, port.address), ignore=(errno.ENOENT,))

    # -- all of it -----------------------------------------------------------------------------------------------

    def remove_all(self, pins_under: Path) -> None:
        """Every link with our prefix, every namespace pinned below `pins_under`.  Raises OSError."""
        with Netlink() as kernel:
            mine = [link for link in netlink.links(kernel) if link.name.startswith(self._prefix)]
            plugs_first = sorted(mine, key=lambda link: link.kind == "bridge")
            for some in _in_parts([netlink.delete_link(link.name) for link in plugs_first], 100):
                kernel.send(*some, ignore=(errno.ENODEV,))
        for path in netns.pins(pins_under):
            netns.drop(path)
        self._bridges.clear()


def _configure(network: Network, port: Port) -> None:
    """Address and routes, inside."""
    with Netlink() as inside:
        link = netlink.find_link(inside, port.interface)
        if link is None:
            raise OSError(errno.ENODEV, "the new link is not there")
        gateway = network.gateway
        kernel_words = [
            netlink.set_up(link.index),
            routes.new_address(link.index, port.address, 32),
            routes.new_neighbour(link.index, gateway, mac_of(gateway)),
            routes.new_route(Route(network.subnet, link.index, gateway)),
        ]
        if port.leads and not network.internal:
            kernel_words.append(routes.new_route(Route(_EVERYWHERE, link.index, gateway)))
        # EEXIST: a second plug of one namespace leaves the first one's default route.
        inside.send(*kernel_words, ignore=(errno.EEXIST,))
        _wait_operating(inside, port.interface)  # or its first answer would be lost


def _wait_operating(kernel: Netlink, name: str) -> None:
    """Return once the bridge passes packets of the link: the kernel makes up its mind about a new one a little later.

    Asking settles it (Linux 6.8); on older kernels its announcement is waited for.
    """
    link = netlink.find_link(kernel, name)
    if link is None or link.state == netlink.OPERATING:
        return
    with Netlink() as listener:
        listener.listen(netlink.LINK_NEWS)
        listener.socket.settimeout(_SETTLING_S)
        while True:
            link = netlink.find_link(kernel, name)
            if link is None or link.state == netlink.OPERATING:
                return
            try:
                listener.socket.recv(1 << 16)
            except TimeoutError as error:
                raise OSError(errno.ETIMEDOUT, f"link {name} does not come up") from error


def _refuse_overlap(kernel: Netlink, subnet: IPv4Network, what: str) -> None:
    """Refuse addresses that already lead elsewhere by a route as narrow as ours, or narrower."""
    for route in routes.routes(kernel):
        if route.to.subnet_of(subnet):
            raise AlreadyExists(f"the addresses of {what} ({subnet}) are in use: {route.to}", kind="Network", name=what)


def _worded(error: OSError, port: Port) -> CloudError:
    if error.errno in _NO_MORE:
        return Exhausted(f"no link left for {port.id}: {error.strerror}", kind="Port", name=port.id)
    where = f" (message {error.position})" if isinstance(error, Refused) else ""
    return Broken(f"cannot plug {port.id}: {error.strerror}{where}", kind="Port", name=port.id)


def _in_parts(items: list[netlink.Message], size: int) -> Iterable[list[netlink.Message]]:
    return (items[first : first + size] for first in range(0, len(items), size))
