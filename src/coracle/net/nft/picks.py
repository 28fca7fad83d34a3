"""The chains that choose a target: `pick-3`, `pick-3-sticky`, and the same for the node's own addresses.

    pick-3              dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @targets
    node-pick-3         dnat ip to meta l4proto . th dport . numgen random mod 3 map @node_targets
    pick-3-sticky       dnat ip to ip saddr . ip daddr . meta l4proto . th dport map @pins
                        goto pick-3

Packed by hand: nft 1.0.6 would let only TCP through these rules.  `nft list` shows them as above.  Pure.
"""

from __future__ import annotations

from coracle.linux.expressions import NETWORK, TRANSPORT, dnat, draw, go, load, load_protocol, look_up
from coracle.net.nft.family import V4, Family

_PORT = 2  # of the destination, in every transport's header


def rules(chain: str, family: Family = V4) -> list[list[bytes]]:
    """The rules of a chain of this name."""
    words = chain.removeprefix("node-").split("-")
    width = family.address_bytes // 4  # registers that an address takes
    turn = dnat(0, width, family.number)
    if words[-1] == "sticky":
        key = [_address(0, family.source, family), *_asked(width, family)]
        return [[*key, look_up("pins", 0, 0), turn], [go(chain.removesuffix("-sticky"))]]
    modulus = int(words[1])
    if chain.startswith("node-"):
        return [[*_port(0), draw(2, modulus), look_up("node_targets", 0, 0), turn]]
    return [[*_asked(0, family), draw(width + 2, modulus), look_up("targets", 0, 0), turn]]


def _address(register: int, offset: int, family: Family) -> bytes:
    return load(register, NETWORK, offset, family.address_bytes)


def _port(register: int) -> list[bytes]:
    return [load_protocol(register), load(register + 1, TRANSPORT, _PORT, 2)]


def _asked(register: int, family: Family) -> list[bytes]:
    return [_address(register, family.destination, family), *_port(register + family.address_bytes // 4)]
