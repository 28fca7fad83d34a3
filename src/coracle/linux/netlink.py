"""Netlink by hand: messages as packed bytes, several in one system call; and links.  Routes are in routes.py.

    with Netlink() as kernel:
        kernel.send(new_link(...), new_route(...))       all are tried; the first refusal is raised

A socket belongs to the network namespace of the thread that opens it, for good.  Everything blocks for some tens of
microseconds.  Written out because a plug costs under a millisecond so, and three through pyroute2.

Source: netlink(7), rtnetlink(7); include/uapi/linux/{netlink,rtnetlink,if_link,neighbour}.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

# -- framing ---------------------------------------------------------------------------------------------------------

REQUEST, ACK, DUMP, REPLACE, EXCL, CREATE = 1, 4, 0x300, 0x100, 0x200, 0x400
NESTED = 0x8000
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _ADD_MEMBERSHIP, _CAP_ACK, _EXT_ACK = 270, 1, 10, 11
LINK_NEWS = 1  # the group RTNLGRP_LINK
_ERROR_MESSAGE = 1  # NLMSGERR_ATTR_MSG
_CAPPED, _ACK_TLVS = 0x100, 0x200

_HEAD = struct.Struct("=IHHII")  # length, type, flags, sequence number, port id
_ATTRIBUTE = struct.Struct("=HH")
_READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Message:
    """A request without its length and number.  `payload` is the family's header and the attributes."""

    type: int
    payload: bytes
    flags: int = 0


def attribute(type: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return _ATTRIBUTE.pack(length, type) + payload + b"\0" * (-length % 4)


def number(type: int, value: int) -> bytes:
    """An attribute of 32 bits in the host's byte order."""
    return attribute(type, struct.pack("=I", value))


def text(type: int, value: str) -> bytes:
    return attribute(type, value.encode() + b"\0")


def nest(type: int, *attributes: bytes) -> bytes:
    return attribute(type, b"".join(attributes))


def attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `payload`, their flags of nesting and byte order removed."""
    at = 0
    while at + 4 <= len(payload):
        length, type = _ATTRIBUTE.unpack_from(payload, at)
        if length < 4:
            return
        yield type & 0x3FFF, payload[at + 4 : at + length]
        at += length + (-length % 4)


class Refused(OSError):
    """The kernel's answer to one message.  `position` is which of those sent."""

    def __init__(self, code: int, words: str, position: int) -> None:
        super().__init__(code, f"{os.strerror(code)} ({words})" if words else os.strerror(code))
        self.position = position


class Netlink:
    """One socket of one netlink family.  Not for several threads at once."""

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        for option in (_CAP_ACK, _EXT_ACK):
            self.socket.setsockopt(_SOL_NETLINK, option, 1)
        self.socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def listen(self, group: int) -> None:
        """Also receive what the kernel announces to `group`.  Raises OSError."""
        self.socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def send(self, *messages: Message, ignore: tuple[int, ...] = ()) -> None:
        """Do all of `messages`, in order, in one system call.  Each is tried, whatever became of those before.

        Raises: Refused (the first whose error is not in `ignore`), OSError.
        """
        if not messages:
            return  # the kernel takes no empty letters
        first = self._sequence + 1
        self.socket.sendto(b"".join(self._frame(message, ACK) for message in messages), (0, 0))
        refused: Refused | None = None
        waiting = len(messages)
        while waiting:
            for type, sequence, payload in self._received():
                if type == _ERROR and first <= sequence < first + len(messages):
                    waiting -= 1
                    code = -struct.unpack_from("=i", payload)[0]
                    if code and code not in ignore and refused is None:
                        refused = Refused(code, _words(payload), sequence - first)
        if refused is not None:
            raise refused

    def ask(self, message: Message) -> list[bytes]:
        """The payloads of what the kernel answers to one question.  Raises Refused, OSError."""
        self.socket.sendto(self._frame(message, 0 if message.flags & DUMP else ACK), (0, 0))
        answers: list[bytes] = []
        while True:
            for type, sequence, payload in self._received():
                if sequence != self._sequence:
                    continue
                if type == _ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    if code:
                        raise Refused(code, _words(payload), 0)
                    return answers
                if type == _DONE:
                    return answers
                answers.append(payload)

    def _frame(self, message: Message, more: int) -> bytes:
        self._sequence += 1
        length = _HEAD.size + len(message.payload)
        head = _HEAD.pack(length, message.type, REQUEST | message.flags | more, self._sequence, 0)
        return head + message.payload + b"\0" * (-length % 4)

    def _received(self) -> Iterator[tuple[int, int, bytes]]:
        data = self.socket.recv(_READ_BYTES)
        at = 0
        while at + _HEAD.size <= len(data):
            length, type, _flags, sequence, _port = _HEAD.unpack_from(data, at)
            yield type, sequence, data[at + _HEAD.size : at + length]
            at += length + (-length % 4)


def _words(payload: bytes) -> str:
    """The kernel's own words behind an error number, where it has any (NLM_F_ACK_TLVS, capped)."""
    said = dict(attributes(payload[4 + _HEAD.size :])).get(_ERROR_MESSAGE, b"")
    return said.rstrip(b"\0").decode(errors="replace")


# -- links -----------------------------------------------------------------------------------------------------------

_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_ADDRESS, _IFNAME, _MTU, _MASTER, _OPERSTATE, _LINKINFO, _AF_SPEC, _NETNS_FD = 1, 3, 4, 10, 16, 18, 26, 28
_GROUP, _PROTOCOL_INFO = 27, 12
_BRIDGES = 7  # AF_BRIDGE
_SLAVE_KIND, _SLAVE_DATA = 4, 5  # in LINKINFO; linux/if_link.h
_PORT_STATE, _PORT_HAIRPIN, _PORT_LEARNING, _PORT_FLUSH, _PORT_ISOLATED = 1, 4, 8, 24, 33
_KIND, _DATA = 1, 2
_PEER = 1
_BR_FORWARD_DELAY, _BR_STP = 1, 5
_GEN_MODE, _NO_ADDRESSES = 8, 1
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_UP = 1
OPERATING = 6


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the kernel tells of it.  `state` OPERATING: it carries packets.  `master` 0: in no bridge.

    `group` is a number that links may share, for whatever its user wants; 0 is every link's at first.
    """

    index: int
    name: str
    mac: str
    up: bool
    state: int
    master: int
    kind: str
    mtu: int
    group: int


def _link_head(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, flags, change)


def to_mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def quiet(name: str) -> Message:
    """Let the host neither listen nor talk by IPv6 on a link that is there and not up yet.

    Not together with its making: the kernel takes settings of a family only for a link that is there.
    """
    mode = nest(_AF_SPEC, nest(socket.AF_INET6, attribute(_GEN_MODE, bytes([_NO_ADDRESSES]))))
    return Message(_NEWLINK, _link_head() + text(_IFNAME, name) + mode)


def set_up_by_name(name: str) -> Message:
    return Message(_NEWLINK, _link_head(flags=_UP, change=_UP) + text(_IFNAME, name))


def new_bridge(name: str, mac: str, mtu: int, group: int = 0) -> Message:
    """A bridge, down, without spanning tree and its delay.  EEXIST where the name is taken."""
    settings = nest(_DATA, number(_BR_FORWARD_DELAY, 0), number(_BR_STP, 0))
    info = nest(_LINKINFO, text(_KIND, "bridge"), settings)
    wanted = text(_IFNAME, name) + attribute(_ADDRESS, to_mac(mac)) + number(_MTU, mtu) + number(_GROUP, group) + info
    return Message(_NEWLINK, _link_head() + wanted, CREATE | EXCL)


def set_port(name: str, *, isolated: bool) -> Message:
    """How the bridge treats a port: it gets its own packets back ("hairpin"); if isolated, none of others like it.

    Where bridged packets pass the IP rules (br_netfilter), a plug that asks a service which leads back to itself would
    lose them otherwise.  Source: bridge(8), `hairpin on`, `isolated on`.
    """
    settings = attribute(_PORT_HAIRPIN, b"\1") + attribute(_PORT_ISOLATED, bytes([isolated]))
    return Message(_NEWLINK, _link_head() + text(_IFNAME, name) + _port_info(settings))


def cut(index: int) -> Message:
    """Let the bridge pass nothing of a port any more.  At once; deleting the link takes 30 ms.

    Of the bridges' own family: after a change through the other one the kernel looks at the link, and lets it pass.
    """
    settings = attribute(_PORT_STATE, b"\0") + attribute(_PORT_LEARNING, b"\0") + attribute(_PORT_FLUSH, b"\1")
    head = _LINK.pack(_BRIDGES, 0, index, 0, 0)
    return Message(_SETLINK, head + attribute(_PROTOCOL_INFO | NESTED, settings))


def _port_info(settings: bytes) -> bytes:
    return nest(_LINKINFO, text(_SLAVE_KIND, "bridge"), attribute(_SLAVE_DATA, settings))


def set_group(name: str, group: int) -> Message:
    return Message(_NEWLINK, _link_head() + text(_IFNAME, name) + number(_GROUP, group))


def delete_group(group: int) -> Message:
    """All links of `group`, in the time of one.  ENODEV where there is none."""
    return Message(_DELLINK, _link_head() + number(_GROUP, group))


@dataclass(frozen=True, slots=True)
class Pair:
    """A veth pair: `name` here in the bridge `master`, `peer_name` in the namespace `netns_fd`, both down."""

    name: str
    master: int
    mtu: int
    peer_name: str
    peer_mac: str
    netns_fd: int


def new_pair(pair: Pair) -> Message:
    peer = _link_head() + text(_IFNAME, pair.peer_name) + attribute(_ADDRESS, to_mac(pair.peer_mac))
    peer += number(_MTU, pair.mtu) + number(_NETNS_FD, pair.netns_fd)
    info = nest(_LINKINFO, text(_KIND, "veth"), nest(_DATA, attribute(_PEER, peer)))
    wanted = text(_IFNAME, pair.name) + number(_MTU, pair.mtu) + number(_MASTER, pair.master)
    return Message(_NEWLINK, _link_head() + wanted + info, CREATE | EXCL)


def set_up(index: int) -> Message:
    return Message(_NEWLINK, _link_head(index, _UP, _UP))


def set_mtu(index: int, mtu: int) -> Message:
    return Message(_NEWLINK, _link_head(index) + number(_MTU, mtu))


def delete_link(name: str) -> Message:
    """ENODEV where there is none."""
    return Message(_DELLINK, _link_head() + text(_IFNAME, name))


def find_link(kernel: Netlink, name: str) -> Link | None:
    """Asking makes the kernel settle the link's state first, where it can (Linux 6.8)."""
    try:
        answers = kernel.ask(Message(_GETLINK, _link_head() + text(_IFNAME, name)))
    except Refused as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return _read_link(answers[0])


def links(kernel: Netlink) -> list[Link]:
    return [_read_link(payload) for payload in kernel.ask(Message(_GETLINK, _link_head(), DUMP))]


def _read_link(payload: bytes) -> Link:
    _family, _type, index, flags, _change = _LINK.unpack_from(payload)
    said = dict(attributes(payload[_LINK.size :]))
    kind = dict(attributes(said.get(_LINKINFO, b""))).get(_KIND, b"")
    return Link(
        index=index,
        name=to_text(said.get(_IFNAME, b"")),
        mac=said.get(_ADDRESS, b"").hex(":"),
        up=bool(flags & _UP),
        state=said.get(_OPERSTATE, b"\0")[0],
        master=to_number(said.get(_MASTER)),
        kind=to_text(kind),
        mtu=to_number(said.get(_MTU)),
        group=to_number(said.get(_GROUP)),
    )


def to_text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")


def to_number(raw: bytes | None) -> int:
    return int(struct.unpack("=I", raw)[0]) if raw is not None else 0
