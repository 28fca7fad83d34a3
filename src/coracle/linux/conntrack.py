"""The kernel's memory of connections: read the UDP ones, and make it forget some.

A datagram "connection" lives as long as its client keeps sending, and keeps going where it first went, also when that
target is gone: after a change of targets the kernel must be told to forget.

Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h; nf_conntrack_netlink.c.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from coracle.linux.netlink import DUMP, NESTED, Message, Netlink, attribute, attributes, nest

NETFILTER = 12  # the netlink family
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK
_ORIGINAL, _REPLY, _FILTER = 1, 2, 25
_IP, _PROTO = 1, 2
_SOURCE, _DESTINATION = 1, 2
_PROTOCOL, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_FILTER_ORIGINAL = 1
_BY_PROTOCOL = 1 << 3  # CTA_FILTER_FLAG_CTA_PROTO_NUM
UDP = 17


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection: from `source` to `asked`, answered by `answering`."""

    source: tuple[IPv4Address, int]
    asked: tuple[IPv4Address, int]
    answering: tuple[IPv4Address, int]
    original: bytes  # the kernel's encoding of the first direction, which names the connection


def _head() -> bytes:
    return struct.pack("=BBH", socket.AF_INET, 0, 0)


def datagram_flows() -> list[Flow]:
    """Every UDP connection the kernel remembers.  Raises OSError."""
    with Netlink(NETFILTER) as kernel:
        return [flow for payload in kernel.ask(_question()) if (flow := _read(payload)) is not None]


def forget(flows: Iterable[Flow]) -> None:
    """Make the kernel forget `flows`; the next packet of each is steered anew.  Raises OSError."""
    messages = [Message(_DELETE, _head() + attribute(_ORIGINAL | NESTED, flow.original)) for flow in flows]
    with Netlink(NETFILTER) as kernel:
        for first in range(0, len(messages), 64):
            kernel.send(*messages[first : first + 64], ignore=(errno.ENOENT,))


def forget_datagrams(stale: Callable[[Flow], bool]) -> int:
    """Forget the UDP connections that are `stale`; returns how many."""
    flows = [flow for flow in datagram_flows() if stale(flow)]
    forget(flows)
    return len(flows)


def _question() -> Message:
    # The kernel sorts out by protocol (since Linux 5.8), so that thousands of TCP connections are not sent over.
    protocol = nest(_ORIGINAL | NESTED, nest(_PROTO | NESTED, attribute(_PROTOCOL, bytes([UDP]))))
    chosen = nest(_FILTER | NESTED, attribute(_FILTER_ORIGINAL, struct.pack("=I", _BY_PROTOCOL)))
    return Message(_GET, _head() + protocol + chosen, DUMP)


def _read(payload: bytes) -> Flow | None:
    said = dict(attributes(payload[4:]))
    original, reply = _ends(said[_ORIGINAL]), _ends(said[_REPLY])
    if original is None or reply is None:
        return None
    return Flow(original[0], original[1], reply[0], said[_ORIGINAL])


def _ends(tuple_: bytes) -> tuple[tuple[IPv4Address, int], tuple[IPv4Address, int]] | None:
    """Source and destination of one direction; None where it is not UDP over IPv4."""
    said = dict(attributes(tuple_))
    ip, proto = dict(attributes(said[_IP])), dict(attributes(said[_PROTO]))
    if proto[_PROTOCOL][0] != UDP or _SOURCE not in ip:
        return None
    ports = [int.from_bytes(proto[which]) for which in (_SOURCE_PORT, _DESTINATION_PORT)]
    return (IPv4Address(ip[_SOURCE]), ports[0]), (IPv4Address(ip[_DESTINATION]), ports[1])
