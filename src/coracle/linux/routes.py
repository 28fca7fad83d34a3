"""Addresses, routes and neighbours of links, as netlink messages.

Source: rtnetlink(7); include/uapi/linux/{rtnetlink,if_addr,neighbour}.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from coracle.linux.netlink import (
    CREATE,
    DUMP,
    EXCL,
    REPLACE,
    Message,
    Netlink,
    attribute,
    attributes,
    number,
    to_mac,
    to_number,
)

_NEWADDR, _GETADDR = 20, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWNEIGH, _DELNEIGH = 28, 29
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_ADDR = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NEIGH = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_MAIN, _STATIC, _UNICAST = 254, 4, 1
_EVERYWHERE, _ON_LINK = 0, 253
_ONLINK_GATEWAY = 4
_PERMANENT = 0x80


def new_address(index: int, address: IPv4Address, prefix: int) -> Message:
    """EEXIST where the link has it."""
    head = _ADDR.pack(socket.AF_INET, prefix, 0, _EVERYWHERE, index)
    wanted = attribute(_IFA_LOCAL, address.packed) + attribute(_IFA_ADDRESS, address.packed)
    if prefix < 31:
        broadcast = IPv4Network((address, prefix), strict=False).broadcast_address
        wanted += attribute(_IFA_BROADCAST, broadcast.packed)
    return Message(_NEWADDR, head + wanted, CREATE | EXCL)


def addresses(kernel: Netlink) -> list[tuple[int, IPv4Address, int]]:
    """Every IPv4 address: the index of its link, itself, its prefix length."""
    head = _ADDR.pack(socket.AF_INET, 0, 0, 0, 0)
    found = []
    for payload in kernel.ask(Message(_GETADDR, head, DUMP)):
        _family, prefix, _flags, _scope, index = _ADDR.unpack_from(payload)
        said = dict(attributes(payload[_ADDR.size :]))
        local = said.get(_IFA_LOCAL) or said.get(_IFA_ADDRESS)
        if local is not None:
            found.append((index, IPv4Address(local), prefix))
    return found


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table.  Without `gateway`: the addresses are on the link itself."""

    to: IPv4Network
    index: int
    gateway: IPv4Address | None = None
    source: IPv4Address | None = None


def new_route(route: Route) -> Message:
    """EEXIST where there is one to the same addresses."""
    return Message(_NEWROUTE, _route(route), CREATE | EXCL)


def delete_route(route: Route) -> Message:
    """ESRCH where there is none."""
    return Message(_DELROUTE, _route(route))


def _route(route: Route) -> bytes:
    scope, flags = (_ON_LINK, 0) if route.gateway is None else (_EVERYWHERE, _ONLINK_GATEWAY)
    head = _ROUTE.pack(socket.AF_INET, route.to.prefixlen, 0, 0, _MAIN, _STATIC, scope, _UNICAST, flags)
    wanted = number(_RTA_OIF, route.index)
    if route.to.prefixlen:
        wanted += attribute(_RTA_DST, route.to.network_address.packed)
    if route.gateway is not None:
        wanted += attribute(_RTA_GATEWAY, route.gateway.packed)
    if route.source is not None:
        wanted += attribute(_RTA_PREFSRC, route.source.packed)
    return head + wanted


def routes(kernel: Netlink) -> list[Route]:
    """The IPv4 routes of the main table that lead through a link."""
    head = _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    found = []
    for payload in kernel.ask(Message(_GETROUTE, head, DUMP)):
        _family, prefix, _src, _tos, table, *_rest = _ROUTE.unpack_from(payload)
        said = dict(attributes(payload[_ROUTE.size :]))
        if table != _MAIN or _RTA_OIF not in said:
            continue
        to = IPv4Network((IPv4Address(said.get(_RTA_DST, b"\0" * 4)), prefix))
        gateway, source = said.get(_RTA_GATEWAY), said.get(_RTA_PREFSRC)
        found.append(Route(to, to_number(said[_RTA_OIF]), _address(gateway), _address(source)))
    return found


def _address(raw: bytes | None) -> IPv4Address | None:
    return IPv4Address(raw) if raw is not None else None


def new_neighbour(index: int, address: IPv4Address, mac: str) -> Message:
    """Fix whose link address `address` is; nobody needs to ask, and the table's limits do not count it."""
    head = _NEIGH.pack(socket.AF_INET, index, _PERMANENT, 0, _UNICAST)
    wanted = attribute(_NDA_DST, address.packed) + attribute(_NDA_LLADDR, to_mac(mac))
    return Message(_NEWNEIGH, head + wanted, CREATE | REPLACE)


def delete_neighbour(index: int, address: IPv4Address) -> Message:
    """ENOENT where there is none."""
    head = _NEIGH.pack(socket.AF_INET, index, 0, 0, 0)
    return Message(_DELNEIGH, head + attribute(_NDA_DST, address.packed))
