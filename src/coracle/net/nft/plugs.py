"""Plugs and namespaces in the kernel.  Every call blocks for about a millisecond; called from threads.

A plug's address has the prefix of its network, and no route for it: the gateway is the way to everything, neighbours
included.  All packets so pass the node's network layer, where answers of a forwarded connection find their way back; no
filtering inside the bridge (br_netfilter) is needed.  Who has which link address is fixed on both sides, and behind
which port of the bridge it is: nobody ever has to ask.

Deleting a link makes the kernel wait for its readers, some 30 ms, with everybody else waiting for it.  A namespace that
goes takes its links along, at the kernel's leisure; until then they are cut off (`drop`).
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network

from coracle.core.errors import Broken, CloudError, Exhausted
from coracle.linux import netlink, netns, routes
from coracle.linux.netlink import Link, Message, Netlink, Pair, Refused
from coracle.linux.routes import Route
from coracle.net.addresses import mac_of
from coracle.net.api import Network, Port
from coracle.net.nft import sysctls
from coracle.net.nft.bridges import NO_IPV6, Bridges, Groups

_EVERYWHERE, _EVERYWHERE6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")
_NO_MORE = (errno.EXFULL, errno.ENOMEM, errno.ENFILE, errno.ENOBUFS)
_PLUGS_AT_MOST = 1023  # of one bridge: the kernel's limit
_SETTLING_S = 2.0

# Of each new namespace, before it has any link but its loopback.
_NAMESPACE_SYSCTLS = {
    "net/ipv4/conf/all/accept_redirects": "0",
    "net/ipv4/conf/default/accept_redirects": "0",
    "net/ipv4/ip_unprivileged_port_start": "0",  # as Docker and containerd: no port of a container is privileged
    "net/ipv4/ping_group_range": "0 2147483647",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/disable_ipv6": "1",  # the loopback keeps ::1
}


class Plugs:
    """Links whose names begin with `prefix` (at most 7 bytes) are ours."""

    def __init__(self, prefix: str, groups: Groups, bridges: Bridges) -> None:
        self._prefix, self._groups, self._bridges = prefix, groups, bridges

    def link_name(self, port_id: str) -> str:
        """The host's end of a plug."""
        return self._prefix + hashlib.blake2s(port_id.encode(), digest_size=4).hexdigest()

    # -- namespaces ----------------------------------------------------------------------------------------------

    def make_netns(self, path: str, users_path: str = "") -> None:
        """Raises OSError."""
        if netns.make(path, users_path):
            with netns.entered(path):
                for name, value in _NAMESPACE_SYSCTLS.items():
                    sysctls.write_if_known(name, value)
                with Netlink() as inside:
                    inside.send(netlink.set_up(1))

    def drop(self, path: str, ports: Sequence[Port]) -> None:
        """Cut `ports` off and let the namespace go, which takes them along.  Raises OSError."""
        with Netlink() as kernel:
            for port in ports:
                self._cut(kernel, port)
        netns.drop(path)

    def _cut(self, kernel: Netlink, port: Port) -> None:
        name = self.link_name(port.id)
        link = netlink.find_link(kernel, name)
        if link is not None:
            try:
                kernel.send(netlink.set_group(name, self._groups.doomed), netlink.cut(link.index))
            except Refused:  # it is in no bridge any more, or gone
                kernel.send(netlink.delete_link(name), ignore=(errno.ENODEV,))
        self._forget_address(kernel, port)

    def sweep(self) -> None:
        """Delete all links that were cut off and are still there.  Raises OSError."""
        with Netlink() as kernel:
            kernel.send(netlink.delete_group(self._groups.doomed), ignore=(errno.ENODEV,))

    # -- plugs ---------------------------------------------------------------------------------------------------

    def plug(self, network: Network, port: Port) -> None:
        """Raises Exhausted, Broken."""
        try:
            self._plug(network, port)
        except OSError as error:
            raise _worded(error, network, port) from error

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
            with netns.opened(port.netns_path) as netns_fd:
                if present is None:
                    pair = Pair(name, bridge.index, network.mtu, port.interface, port.mac, netns_fd)
                    made = (netlink.new_pair(pair), netlink.quiet(name))
                    settled = netlink.set_port(name, isolated=not network.icc), netlink.set_up_by_name(name)
                    kernel.send(*made, *settled, ignore=NO_IPV6)
                with netns.entered(port.netns_path):
                    _configure(network, port)
            plugged = netlink.find_link(kernel, name)
            if plugged is None:
                raise OSError(errno.ENODEV, f"link {name} has gone")
            known = [routes.new_neighbour(bridge.index, address, port.mac) for address in _addresses(port)]
            kernel.send(*known, routes.new_station(plugged.index, port.mac))
            _wait_operating(kernel, name)
            _wait_operating(kernel, network.bridge)  # the first plug is what brings a bridge to work

    def _is_whole(self, link: Link, bridge: Link, port: Port) -> bool:
        """Whether a plug found from before is as it should be."""
        if link.master != bridge.index or not link.up or link.group == self._groups.doomed:
            return False
        with netns.entered(port.netns_path), Netlink() as inside:
            peer = netlink.find_link(inside, port.interface)
            if peer is None or peer.mac != port.mac:
                return False
            there = {(index, str(address)) for index, address, _ in routes.addresses(inside)}
            if port.address6 is not None:
                there |= {(index, str(address)) for index, address, _ in routes.addresses6(inside)}
            return there >= {(peer.index, str(address)) for address in _addresses(port)}

    def unplug(self, port: Port) -> None:
        """Raises OSError."""
        with Netlink() as kernel:
            kernel.send(netlink.delete_link(self.link_name(port.id)), ignore=(errno.ENODEV,))
            self._forget_address(kernel, port)

    def _forget_address(self, kernel: Netlink, port: Port) -> None:
        known = self._bridges.neighbours(port.network, _addresses(port))
        kernel.send(*known, ignore=(errno.ENOENT, errno.ENODEV, errno.ENXIO, *NO_IPV6))

    def remove_all(self) -> None:
        """Every link of this cloud, its bridges among them.  Raises OSError."""
        with Netlink() as kernel:
            mine = [link.name for link in netlink.links(kernel) if self._is_mine(link)]
            for some in _in_parts([netlink.set_group(name, self._groups.doomed) for name in mine], 100):
                kernel.send(*some, ignore=(errno.ENODEV,))
        self.sweep()
        self._bridges.forget()

    def _is_mine(self, link: Link) -> bool:
        return link.name.startswith(self._prefix) or link.group == self._groups.ours


def _addresses(port: Port) -> list[routes.Address]:
    return [port.address, port.address6] if port.address6 is not None else [port.address]


def _configure(network: Network, port: Port) -> None:
    """Addresses and routes, inside."""
    with Netlink() as inside:
        if port.address6 is not None:
            for name, value in (("disable_ipv6", "0"), ("accept_dad", "0")):
                sysctls.write(f"net/ipv6/conf/{port.interface}/{name}", value)
        link = netlink.find_link(inside, port.interface)
        if link is None:
            raise OSError(errno.ENODEV, "the new link is not there")
        gateway, mac = network.gateway, mac_of(network.gateway)
        words: list[Message] = [
            netlink.set_up(link.index),
            routes.new_address(link.index, port.address, network.subnet.prefixlen, routed=False),
            routes.new_neighbour(link.index, gateway, mac),
            routes.put_route(Route(network.subnet, link.index, gateway)),
        ]
        if port.leads and not network.internal:
            words.append(routes.put_route(Route(_EVERYWHERE, link.index, gateway)))
        if port.address6 is not None and network.subnet6 is not None and network.gateway6 is not None:
            words += [
                routes.new_address(link.index, port.address6, network.subnet6.prefixlen, routed=False),
                routes.new_neighbour(link.index, network.gateway6, mac),
                routes.put_route(Route(network.subnet6, link.index, network.gateway6)),
            ]
            if port.leads6 and not network.internal:
                words.append(routes.put_route(Route(_EVERYWHERE6, link.index, network.gateway6)))
        inside.send(*words, ignore=(errno.EEXIST,))
        _wait_operating(inside, port.interface)  # or its first answer would be lost
        if port.address6 is not None:
            routes.wait_until_local(inside, [port.address6], _SETTLING_S)


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


def _worded(error: OSError, network: Network, port: Port) -> CloudError:
    if error.errno == errno.EXFULL:
        said = f"network {network.name} is full: its bridge {network.bridge} has {_PLUGS_AT_MOST} plugs, no more can be"
        return Exhausted(said, kind="Network", name=network.name)
    if error.errno in _NO_MORE:
        return Exhausted(f"no link left for {port.id}: {error.strerror}", kind="Port", name=port.id)
    where = f" (message {error.position})" if isinstance(error, Refused) else ""
    return Broken(f"cannot plug {port.id}: {error.strerror}{where}", kind="Port", name=port.id)


def _in_parts(items: list[netlink.Message], size: int) -> Iterable[list[netlink.Message]]:
    return (items[first : first + size] for first in range(0, len(items), size))
