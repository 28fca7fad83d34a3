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
from ipaddress import IPv4Address, IPv6Address, ip_address

from coracle.linux.netlink import DUMP, NESTED, Message, Netlink, attribute, attributes, nest

NETFILTER = 12  # the netlink family
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK
_ORIGINAL, _REPLY, _FILTER = 1, 2, 25
_IP, _PROTO = 1, 2
_V4_ENDS, _V6_ENDS = (1, 2), (3, 4)
_PROTOCOL, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_FILTER_ORIGINAL = 1
_BY_PROTOCOL = 1 << 3  # CTA_FILTER_FLAG_CTA_PROTO_NUM
UDP = 17


End = tuple[IPv4Address | IPv6Address, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection: from `source` to `asked`, answered by `answering`."""

    source: End
    asked: End
    answering: End
    original: bytes  # the kernel's encoding of the first direction, which names the connection


def _head(family: int) -> bytes:
    return struct.pack("=BBH", family, 0, 0)


def datagram_flows(family: int = socket.AF_INET) -> list[Flow]:
    """Every UDP connection of a family that the kernel remembers.  Raises OSError."""
    with Netlink(NETFILTER) as kernel:
        return [flow for payload in kernel.ask(_question(family)) if (flow := _read(payload)) is not None]


def forget(flows: Iterable[Flow], family: int = socket.AF_INET) -> None:
    """Make the kernel forget `flows`; the next packet of each is steered anew.  Raises OSError."""
    messages = [Message(_DELETE, _head(family) + attribute(_ORIGINAL | NESTED, flow.original)) for flow in flows]
    with Netlink(NETFILTER) as kernel:
        for first in range(0, len(messages), 64):
            kernel.send(*messages[first : first + 64], ignore=(errno.ENOENT,))


def forget_datagrams(stale: Callable[[Flow], bool], family: int = socket.AF_INET) -> int:
    """Forget the UDP connections that are `stale`; returns how many."""
    flows = [flow for flow in datagram_flows(family) if stale(flow)]
    forget(flows, family)
    return len(flows)


def _question(family: int) -> Message:
    # The kernel sorts out by protocol (since Linux 5.8), so that thousands of TCP connections are not sent over.
    protocol = nest(_ORIGINAL | NESTED, nest(_PROTO | NESTED, attribute(_PROTOCOL, bytes([UDP]))))
    chosen = nest(_FILTER | NESTED, attribute(_FILTER_ORIGINAL, struct.pack("=I", _BY_PROTOCOL)))
    return Message(_GET, _head(family) + protocol + chosen, DUMP)


def _read(payload: bytes) -> Flow | None:
    said = dict(attributes(payload[4:]))
    original, reply = _ends(said[_ORIGINAL]), _ends(said[_REPLY])
    if original is None or reply is None:
        return None
    return Flow(original[0], original[1], reply[0], said[_ORIGINAL])


def _ends(tuple_: bytes) -> tuple[End, End] | None:
    """Source and destination of one direction; None where it is not UDP."""
    said = dict(attributes(tuple_))
    ip, proto = dict(attributes(said[_IP])), dict(attributes(said[_PROTO]))
    pair = next((pair for pair in (_V4_ENDS, _V6_ENDS) if pair[0] in ip), None)
    if proto[_PROTOCOL][0] != UDP or pair is None:
        return None
    source, destination = (ip_address(ip[which]) for which in pair)
    ports = [int.from_bytes(proto[which]) for which in (_SOURCE_PORT, _DESTINATION_PORT)]
    return (source, ports[0]), (destination, ports[1])
