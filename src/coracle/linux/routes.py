"""Addresses, routes and neighbours of links, as netlink messages.

Source: rtnetlink(7); include/uapi/linux/{rtnetlink,if_addr,neighbour}.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from coracle.linux.netlink import (
    CREATE,
    DUMP,
    EXCL,
    REPLACE,
    Message,
    Netlink,
    Refused,
    attribute,
    attributes,
    number,
    to_mac,
    to_number,
)

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

_NEWADDR, _GETADDR = 20, 22
_NEWROUTE, _GETROUTE = 24, 26
_NEWNEIGH, _DELNEIGH = 28, 29
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_ADDR = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NEIGH = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_NOT_PROBED, _NO_ROUTE = 2, 0x200  # IFA_F_NODAD: nobody is asked whose an IPv6 address is; IFA_F_NOPREFIXROUTE
_MAIN, _STATIC, _UNICAST, _LOCAL = 254, 4, 1, 2
ROUTE_NEWS6 = 11  # the group RTNLGRP_IPV6_ROUTE
_EVERYWHERE, _ON_LINK = 0, 253
_ONLINK_GATEWAY = 4
_PERMANENT, _NOARP = 0x80, 0x40
_OF_MASTER = 4  # NTF_MASTER: the bridge's table
_BRIDGES = 7  # AF_BRIDGE


def _family(address: Address | Subnet) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def new_address(index: int, address: Address, prefix: int, *, routed: bool = True) -> Message:
    """EEXIST where the link has it.  `routed`: with a route to all addresses of that prefix."""
    flags = (_NOT_PROBED if address.version == 6 else 0) | (0 if routed else _NO_ROUTE)
    head = _ADDR.pack(_family(address), prefix, 0, _EVERYWHERE, index)
    wanted = number(_IFA_FLAGS, flags) + attribute(_IFA_LOCAL, address.packed)
    wanted += attribute(_IFA_ADDRESS, address.packed)
    if address.version == 4 and prefix < 31:
        broadcast = IPv4Network((address, prefix), strict=False).broadcast_address
        wanted += attribute(_IFA_BROADCAST, broadcast.packed)
    return Message(_NEWADDR, head + wanted, CREATE | EXCL)


def addresses(kernel: Netlink) -> list[tuple[int, IPv4Address, int]]:
    """Every IPv4 address: the index of its link, itself, its prefix length."""
    found = _addresses(kernel, socket.AF_INET)
    return [(index, address, prefix) for index, address, prefix in found if isinstance(address, IPv4Address)]


def addresses6(kernel: Netlink) -> list[tuple[int, IPv6Address, int]]:
    """The same of IPv6."""
    found = _addresses(kernel, socket.AF_INET6)
    return [(index, address, prefix) for index, address, prefix in found if isinstance(address, IPv6Address)]


def _addresses(kernel: Netlink, family: int) -> list[tuple[int, Address, int]]:
    found = []
    for payload in kernel.ask(Message(_GETADDR, _ADDR.pack(family, 0, 0, 0, 0), DUMP)):
        _family, prefix, _flags, _scope, index = _ADDR.unpack_from(payload)
        said = dict(attributes(payload[_ADDR.size :]))
        local = said.get(_IFA_LOCAL) or said.get(_IFA_ADDRESS)
        if local is not None:
            found.append((index, ip_address(local), prefix))
    return found


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table.  Without `gateway`: the addresses are on the link itself."""

    to: Subnet
    index: int
    gateway: Address | None = None
    source: Address | None = None


def new_route(route: Route) -> Message:
    """EEXIST where there is one to the same addresses."""
    return Message(_NEWROUTE, _route(route), CREATE | EXCL)


def put_route(route: Route) -> Message:
    """In place of the one to the same addresses, where there is one."""
    return Message(_NEWROUTE, _route(route), CREATE | REPLACE)


def _route(route: Route) -> bytes:
    scope, flags = (_ON_LINK, 0) if route.gateway is None else (_EVERYWHERE, _ONLINK_GATEWAY)
    head = _ROUTE.pack(_family(route.to), route.to.prefixlen, 0, 0, _MAIN, _STATIC, scope, _UNICAST, flags)
    wanted = number(_RTA_OIF, route.index)
    if route.to.prefixlen:
        wanted += attribute(_RTA_DST, route.to.network_address.packed)
    if route.gateway is not None:
        wanted += attribute(_RTA_GATEWAY, route.gateway.packed)
    if route.source is not None:
        wanted += attribute(_RTA_PREFSRC, route.source.packed)
    return head + wanted


def routes(kernel: Netlink, *families: int) -> list[Route]:
    """The routes of the main table that lead through a link: of IPv4, or of `families`."""
    found = []
    for family in families or (socket.AF_INET,):
        head = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        nowhere = b"\0" * (4 if family == socket.AF_INET else 16)
        for payload in kernel.ask(Message(_GETROUTE, head, DUMP)):
            _family, prefix, _src, _tos, table, *_rest = _ROUTE.unpack_from(payload)
            said = dict(attributes(payload[_ROUTE.size :]))
            if table != _MAIN or _RTA_OIF not in said:
                continue
            to = ip_network((said.get(_RTA_DST, nowhere), prefix))
            gateway, source = said.get(_RTA_GATEWAY), said.get(_RTA_PREFSRC)
            found.append(Route(to, to_number(said[_RTA_OIF]), _address(gateway), _address(source)))
    return found


def is_local(kernel: Netlink, address: Address) -> bool:
    """Whether packets for `address` are taken in.  By IPv6 that is so only a moment after it was given."""
    head = _ROUTE.pack(_family(address), address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    try:
        answers = kernel.ask(Message(_GETROUTE, head + attribute(_RTA_DST, address.packed)))
    except Refused:
        return False  # there is no way to it
    return bool(answers) and _ROUTE.unpack_from(answers[0])[7] == _LOCAL


def wait_until_local(kernel: Netlink, addresses: Iterable[Address], timeout_s: float) -> None:
    """Return once all `addresses` are.  Raises OSError (ETIMEDOUT)."""
    with Netlink() as listener:
        listener.listen(ROUTE_NEWS6)
        listener.socket.settimeout(timeout_s)
        for address in addresses:
            while not is_local(kernel, address):
                _wait_news(listener, f"address {address} does not come up")


def _wait_news(listener: Netlink, complaint: str) -> None:
    """Return when there may be something new.  Raises OSError, with ETIMEDOUT and `complaint` where there is not."""
    try:
        listener.socket.recv(1 << 16)
    except TimeoutError as error:
        raise OSError(errno.ETIMEDOUT, complaint) from error
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # more was told than fitted
            raise


def _address(raw: bytes | None) -> Address | None:
    return ip_address(raw) if raw is not None else None


def new_neighbour(index: int, address: Address, mac: str) -> Message:
    """Fix whose link address `address` is; nobody needs to ask, and the table's limits do not count it."""
    head = _NEIGH.pack(_family(address), index, _PERMANENT, 0, _UNICAST)
    wanted = attribute(_NDA_DST, address.packed) + attribute(_NDA_LLADDR, to_mac(mac))
    return Message(_NEWNEIGH, head + wanted, CREATE | REPLACE)


def delete_neighbour(index: int, address: Address) -> Message:
    """ENOENT where there is none."""
    head = _NEIGH.pack(_family(address), index, 0, 0, 0)
    return Message(_DELNEIGH, head + attribute(_NDA_DST, address.packed))


def new_station(port_index: int, mac: str) -> Message:
    """Fix behind which port of its bridge `mac` is: packets for it go nowhere else, whoever claims to have it."""
    head = _NEIGH.pack(_BRIDGES, port_index, _NOARP, _OF_MASTER, 0)
    return Message(_NEWNEIGH, head + attribute(_NDA_LLADDR, to_mac(mac)), CREATE | REPLACE)
