"""nf_tables rules in the kernel's terms, where nft 1.0.6 has no words: it takes a map of ports for one of TCP ports.

A rule is a sequence of expressions that load registers, look up and act.  Registers are words of 32 bits, numbered from
0; a key of several parts lies in registers that follow each other.

Source: include/uapi/linux/netfilter/nf_tables.h; `nft --debug=netlink` shows rules so.
"""

from __future__ import annotations

import socket
import struct

from coracle.linux.netlink import NESTED, attribute, nest, text
from coracle.linux.nftables import goto

NETWORK, TRANSPORT = 1, 2  # headers
_FIRST_REGISTER = 8  # NFT_REG32_00
_META_L4PROTO = 16
_RANDOM = 1
_DNAT = 1


def load(register: int, header: int, offset: int, length: int) -> bytes:
    """Bytes of the packet."""
    return _expression(
        "payload", _number(1, register + _FIRST_REGISTER), *map(_number, (2, 3, 4), (header, offset, length))
    )


def load_protocol(register: int) -> bytes:
    return _expression("meta", _number(1, register + _FIRST_REGISTER), _number(2, _META_L4PROTO))


def draw(register: int, modulus: int) -> bytes:
    """A random number below `modulus`, in the host's byte order."""
    return _expression("numgen", _number(1, register + _FIRST_REGISTER), _number(2, modulus), _number(3, _RANDOM))


def look_up(map: str, key: int, into: int) -> bytes:
    """The value of the key that begins at register `key`; the rule ends where there is none."""
    registers = _number(2, key + _FIRST_REGISTER), _number(3, into + _FIRST_REGISTER)
    return _expression("lookup", text(1, map), *registers)


def dnat(address: int, port: int, family: int = socket.AF_INET) -> bytes:
    registers = _number(3, address + _FIRST_REGISTER), _number(5, port + _FIRST_REGISTER)
    return _expression("nat", _number(1, _DNAT), _number(2, family), *registers)


def go(chain: str) -> bytes:
    """End this chain and go on in another."""
    return _expression("immediate", _number(1, 0), nest(2 | NESTED, goto(chain)))


def _expression(name: str, *parts: bytes) -> bytes:
    return nest(1 | NESTED, text(1, name), nest(2 | NESTED, *parts))


def _number(type: int, value: int) -> bytes:
    return attribute(type, struct.pack(">I", value))
