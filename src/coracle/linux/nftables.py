"""nf_tables two ways: whole rulesets as text through libnftables, elements and a few rules as packed bytes.

    run("table ip x { ... }")                          one transaction, in nft's own language, with its own error words

    batch = Batch("x")                                 one transaction; a hundredth of the time for large maps
    batch.add("services", [(key, goto("pick-3"))])
    batch.delete("targets", [key])
    batch.commit()

Keys are the concatenation of their parts, each padded to four bytes, in the byte order of the packet; what the kernel
itself makes (numgen) is in the host's.

Source: libnftables(3); include/uapi/linux/netfilter/nf_tables.h; net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from functools import cache
from types import TracebackType

from coracle.linux.netlink import DUMP, NESTED, REQUEST, Message, Netlink, attribute, attributes, nest, text

NETFILTER = 12  # the netlink family
_BATCH_BEGIN, _BATCH_END = 16, 17
_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT = _SUBSYSTEM << 8 | 12, _SUBSYSTEM << 8 | 13, _SUBSYSTEM << 8 | 14
_GET_TABLE, _DELETE_TABLE, _TABLE_NAME = _SUBSYSTEM << 8 | 1, _SUBSYSTEM << 8 | 2, 1
_FAMILIES = {"ip": socket.AF_INET, "ip6": socket.AF_INET6}
_NEWS = 7  # the group NFNLGRP_NFTABLES
_NEWS_BYTES = 4 << 20  # that may wait to be read: thousands of elements in one transaction are told one by one
_ACK, _CREATE = 4, 0x400
_NEW_CHAIN, _NEW_RULE, _DELETE_RULE = _SUBSYSTEM << 8 | 3, _SUBSYSTEM << 8 | 6, _SUBSYSTEM << 8 | 8
_APPEND = 0x800
_CHAIN_TABLE, _CHAIN_NAME = 1, 3
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_KEY, _VALUE_DATA, _ELEMENT_FLAGS = 1, 2, 3
_RANGE_END = 1
_VALUE, _VERDICT = 1, 2
_CODE, _CHAIN = 1, 2
_GOTO = -4
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_PER_MESSAGE_BYTES = 60_000  # a list of elements is one attribute, whose length has 16 bits
_HEAD = struct.Struct("=IHHIIBBH")  # netlink's header and netfilter's: family, version, resource (big endian)


class Rejected(OSError):
    """The kernel or nft did not take a transaction; nothing of it is in force."""


# -- elements as bytes -----------------------------------------------------------------------------------------------


def goto(chain: str) -> bytes:
    """The value of a verdict map: go to `chain`."""
    code = attribute(_CODE, struct.pack(">i", _GOTO))
    return nest(_VERDICT | NESTED, code, text(_CHAIN, chain))


def value(raw: bytes) -> bytes:
    """The value of a map of data."""
    return attribute(_VALUE, raw)


class Batch:
    """One transaction on the sets and maps of a table, of family ip or another.  Nothing happens before `commit`."""

    def __init__(self, table: str, family: int = socket.AF_INET) -> None:
        self._table, self._family = table, family
        self._messages: list[bytes] = []

    def add(self, set: str, elements: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Add keys, with values where `set` is a map (see `goto` and `value`)."""
        packed = [_element(key, data) for key, data in elements]
        self._put(_NEW_ELEMENT, _CREATE, set, packed)

    def add_range(self, set: str, first: bytes, after: bytes) -> None:
        """Add all keys from `first` on, those from `after` on excepted, to a set with `flags interval`."""
        self._put(_NEW_ELEMENT, _CREATE, set, [_element(first, None), _element(after, None, _RANGE_END)])

    def delete_range(self, set: str, first: bytes, after: bytes) -> None:
        self._put(_DELETE_ELEMENT, 0, set, [_element(first, None), _element(after, None, _RANGE_END)])

    def delete(self, set: str, keys: Iterable[bytes]) -> None:
        self._put(_DELETE_ELEMENT, 0, set, [_element(key, None) for key in keys])

    def make_chain(self, name: str, rules: Sequence[Sequence[bytes]]) -> None:
        """A chain with these rules only; each is a sequence of expressions (see expressions.py)."""
        place = text(_CHAIN_TABLE, self._table) + text(_CHAIN_NAME, name)
        self._messages.append(_message(_NEW_CHAIN, _CREATE, place, self._family))
        place = text(_RULE_TABLE, self._table) + text(_RULE_CHAIN, name)
        self._messages.append(_message(_DELETE_RULE, 0, place, self._family))
        for rule in rules:
            body = place + nest(_RULE_EXPRESSIONS | NESTED, *rule)
            self._messages.append(_message(_NEW_RULE, _CREATE | _APPEND, body, self._family))

    def commit(self) -> None:
        """Do it all, or nothing.  Raises Rejected."""
        if not self._messages:
            return
        begin, end = _batch_end(_BATCH_BEGIN), _batch_end(_BATCH_END)
        self._messages[-1] = _with_ack(self._messages[-1])
        batch = b"".join((begin, *self._messages, end))
        with Netlink(NETFILTER) as kernel:
            for option in (_SO_SNDBUFFORCE, _SO_RCVBUFFORCE):
                kernel.socket.setsockopt(socket.SOL_SOCKET, option, len(batch) * 2 + (1 << 20))
            kernel.socket.sendto(batch, (0, 0))
            _raise_refusal(kernel.socket)

    def _put(self, type: int, flags: int, set: str, packed: Sequence[bytes]) -> None:
        part: list[bytes] = []
        size = 0
        for element in packed:
            if size + len(element) > _PER_MESSAGE_BYTES:
                self._messages.append(self._message(type, flags, set, part))
                part, size = [], 0
            part.append(element)
            size += len(element)
        if part:
            self._messages.append(self._message(type, flags, set, part))

    def _message(self, type: int, flags: int, set: str, packed: Sequence[bytes]) -> bytes:
        place = text(_LIST_TABLE, self._table) + text(_LIST_SET, set)
        return _message(type, flags, place + nest(_LIST_ELEMENTS | NESTED, *packed), self._family)


def _message(type: int, flags: int, body: bytes, family: int) -> bytes:
    return _HEAD.pack(_HEAD.size + len(body), type, REQUEST | flags, 0, 0, family, 0, 0) + body


def entries(table: str, set: str, family: int = socket.AF_INET) -> list[tuple[bytes, bytes, str]]:
    """What is in a set or map: keys, with their data or the chains they lead to (b"", "").  Raises OSError."""
    body = struct.pack("=BBH", family, 0, 0) + text(_LIST_TABLE, table) + text(_LIST_SET, set)
    found = []
    with Netlink(NETFILTER) as kernel:
        for payload in kernel.ask(Message(_GET_ELEMENT, body, DUMP)):
            packed = dict(attributes(payload[4:])).get(_LIST_ELEMENTS, b"")
            found += [_read_element(element) for _type, element in attributes(packed)]
    return found


def _read_element(element: bytes) -> tuple[bytes, bytes, str]:
    said = dict(attributes(element))
    data = dict(attributes(said.get(_VALUE_DATA, b"")))
    chain = dict(attributes(data.get(_VERDICT, b""))).get(_CHAIN, b"")
    return dict(attributes(said[_KEY]))[_VALUE], data.get(_VALUE, b""), chain.rstrip(b"\0").decode()


def _element(key: bytes, data: bytes | None, flags: int = 0) -> bytes:
    parts = attribute(_KEY | NESTED, attribute(_VALUE, key))
    if flags:
        parts += attribute(_ELEMENT_FLAGS, struct.pack(">I", flags))
    if data is not None:
        parts += attribute(_VALUE_DATA | NESTED, data)
    return attribute(1 | NESTED, parts)


def _with_ack(message: bytes) -> bytes:
    flags = int.from_bytes(message[6:8], "little" if struct.pack("=H", 1)[0] else "big") | _ACK
    return message[:6] + struct.pack("=H", flags) + message[8:]


def _batch_end(type: int) -> bytes:
    subsystem = socket.htons(_SUBSYSTEM)
    return _HEAD.pack(_HEAD.size, type, REQUEST, 0, 0, socket.AF_UNSPEC, 0, subsystem)


def _raise_refusal(kernel: socket.socket) -> None:
    """Everything is done when sendto returns, so every answer is there already."""
    while True:
        try:
            data = kernel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        at = 0
        while at + 16 <= len(data):
            length, type = struct.unpack_from("=IH", data, at)
            code = -struct.unpack_from("=i", data, at + 16)[0] if type == 2 else 0
            if code:
                raise Rejected(code, f"nftables: {os.strerror(code)}")
            at += length + (-length % 4)


# -- rulesets as text ------------------------------------------------------------------------------------------------


@cache
def _library() -> ctypes.CDLL:
    """Raises OSError where libnftables (Debian: libnftables1) is missing."""
    library = ctypes.CDLL("libnftables.so.1", use_errno=True)
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_free.restype = None
    return library


def run(commands: str) -> str:
    """Run nft commands as one transaction, in the network namespace of the calling thread; returns what they print.

    Raises: Rejected with nft's own words.
    """
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise Rejected(errno.ENOMEM, "libnftables has no context to give")
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, commands.encode()) != 0:
            words = (library.nft_ctx_get_error_buffer(context) or b"").decode(errors="replace")
            raise Rejected(errno.EINVAL, f"nftables: {words.strip()}")
        return (library.nft_ctx_get_output_buffer(context) or b"").decode(errors="replace")
    finally:
        library.nft_ctx_free(context)


def tables(family: str = "ip") -> list[str]:
    """The names of all tables of a family.  Raises OSError."""
    body = struct.pack("=BBH", _FAMILIES[family], 0, 0)
    with Netlink(NETFILTER) as kernel:
        answers = kernel.ask(Message(_GET_TABLE, body, DUMP))
    return [_table_name(payload[4:]) for payload in answers]


def _table_name(said: bytes) -> str:
    return dict(attributes(said))[_TABLE_NAME].rstrip(b"\0").decode(errors="replace")


class TableNews:
    """Hears of tables of IP that are removed."""

    def __init__(self) -> None:
        self._kernel = Netlink(NETFILTER)
        self._kernel.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _NEWS_BYTES)
        self._kernel.listen(_NEWS)
        self._kernel.socket.setblocking(False)

    def __enter__(self) -> TableNews:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._kernel.close()

    def fileno(self) -> int:
        return self._kernel.socket.fileno()

    def is_removed(self, *tables: str) -> bool:
        """Whether one of `tables` was removed since last asked, or more was told than fitted.  Does not wait."""
        found = False
        while True:
            try:
                data = self._kernel.socket.recv(1 << 16)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found = True
                continue
            found = not _removed(data).isdisjoint(tables) or found


def _removed(data: bytes) -> set[str]:
    names: set[str] = set()
    at = 0
    while at + 20 <= len(data):
        length, type = struct.unpack_from("=IH", data, at)
        if type == _DELETE_TABLE and data[at + 16] in (socket.AF_INET, socket.AF_INET6):
            names.add(_table_name(data[at + 20 : at + length]))
        at += length + (-length % 4)
    return names
