"""Forwards and networks as elements of a table's maps and sets, packed as the kernel compares them.  Pure.

See render.py for the maps and their rules, linux/nftables.py for how keys are made.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from coracle.net.addresses import Address, Subnet
from coracle.net.api import Forward, Network
from coracle.net.nft.family import V4, Family

LOOPBACK = IPv4Address("127.0.0.1")
PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}

# Maps and sets whose elements come from Forwards; all of them are refilled together after a restart.
FILLED = (
    "services", "targets", "pinned_by", "refused", "fenced",
    "node", "node_targets", "node_pinned_by", "node_refused", "node_fenced",
    "hairpin", "away",
)  # fmt: skip
_SHARED = ("hairpin", "away")  # several Forwards may ask for the same element
_NAME_BYTES = 16  # of a link's name


def with_parts(names: Iterable[str]) -> set[str]:
    """The chains named, and those they lead to."""
    return {part for name in names for part in (name, name.removesuffix("-sticky"))}


class Element(NamedTuple):
    """An element of a map or set.  `chain`: where a verdict map leads; `data`: what a map of data holds."""

    set: str
    key: bytes
    chain: str = ""
    data: bytes = b""


def elements(forward: Forward, subnets: Sequence[Subnet] = ()) -> Iterator[Element]:
    """What `forward` is in the maps.  Targets outside `subnets` are reached in the node's own name."""
    address = LOOPBACK if forward.loopback_only and forward.address is None else forward.address
    prefix, node = ("", address.packed) if address is not None else ("node_", b"")
    key = node + _port_key(forward.transport, forward.port)
    if forward.sources is not None:
        yield Element(f"{prefix}fenced", key, chain=fence(forward.sources))
    if not forward.targets:
        yield Element(f"{prefix}refused", key)
        return
    sticky = "-sticky" if forward.affinity_s is not None else ""
    pick = f"{'node-' if prefix else ''}pick-{len(forward.targets)}{sticky}"
    yield Element("node" if prefix else "services", key, chain=pick)
    if forward.affinity_s is not None:
        yield Element(f"{prefix}pinned_by", key, chain=f"pin-{forward.affinity_s}")
    for number, target in enumerate(forward.targets):
        data = target.address.packed + struct.pack(">Hxx", target.port)
        yield Element(f"{prefix}targets", key + struct.pack("=I", number), data=data)
        yield Element("hairpin", target.address.packed * 2)
        if not any(target.address in subnet for subnet in subnets):
            yield Element("away", target.address.packed + _port_key(forward.transport, target.port))


def fence(sources: Sequence[Subnet]) -> str:
    """The chain that lets only these in."""
    return "fence-" + hashlib.sha256(" ".join(map(str, sources)).encode()).hexdigest()[:16]


def _port_key(transport: str, port: int) -> bytes:
    return struct.pack(">BxxxHxx", PROTOCOLS[transport], port)


@dataclass(slots=True)
class Difference:
    """What to tell the kernel: in one transaction, deletions first.  `chains` have to be there before.

    `gone` and `come` are the Forwards it stands for (a changed one is in both); `shared` changes of use, see Present.
    """

    gone: list[Forward]
    come: list[Forward]
    subnets: tuple[Subnet, ...]
    delete: list[Element] = field(default_factory=list)
    add: list[Element] = field(default_factory=list)
    shared: Counter[tuple[str, bytes]] = field(default_factory=Counter)

    @property
    def chains(self) -> set[str]:
        return with_parts({element.chain for element in self.add if element.chain})

    @property
    def fences(self) -> dict[str, Sequence[Subnet]]:
        """Whom each of the fences among `chains` lets in."""
        return {fence(one.sources): one.sources for one in self.come if one.sources is not None}


class Present:
    """What the kernel has been told, so that the next telling is a difference.

    Several Forwards may ask for one element of `hairpin` and `away`; `_uses` counts them.
    """

    def __init__(self) -> None:
        self.forwards: dict[str, Forward] = {}
        self._subnets: tuple[Subnet, ...] = ()
        self._uses: Counter[tuple[str, bytes]] = Counter()

    def difference(self, forwards: Iterable[Forward], subnets: tuple[Subnet, ...]) -> Difference:
        """What to change so that exactly `forwards` are there.  Call `accept` once the kernel has it."""
        asked = {forward.id: forward for forward in forwards}
        moved = set(subnets) ^ set(self._subnets)  # targets in these are inside now, or no more
        gone = [old for id, old in self.forwards.items() if _differ(asked.get(id), old) or _leads_into(old, moved)]
        come = [new for id, new in asked.items() if _differ(self.forwards.get(id), new) or _leads_into(new, moved)]
        result = Difference(gone, come, subnets)
        old, new = self._sorted(gone, self._subnets, -1, result), self._sorted(come, subnets, 1, result)
        result.delete += [element for place, element in old.items() if new.get(place) != element]
        result.add += [element for place, element in new.items() if old.get(place) != element]
        for place, change in result.shared.items():
            had, has = self._uses[place] > 0, self._uses[place] + change > 0
            if had != has:
                (result.add if has else result.delete).append(Element(*place))
        return result

    def accept(self, difference: Difference) -> None:
        for place, change in difference.shared.items():
            self._uses[place] += change
            if self._uses[place] <= 0:
                del self._uses[place]
        for forward in difference.gone:
            del self.forwards[forward.id]
        self.forwards.update((forward.id, forward) for forward in difference.come)
        self._subnets = difference.subnets

    def _sorted(
        self, forwards: Iterable[Forward], subnets: tuple[Subnet, ...], sign: int, result: Difference
    ) -> dict[tuple[str, bytes], Element]:
        """The elements of `forwards` by place; those that may be shared are counted in `result` instead."""
        own = {}
        for forward in forwards:
            for element in elements(forward, subnets):
                if element.set in _SHARED:
                    result.shared[element.set, element.key] += sign
                else:
                    own[element.set, element.key] = element
        return own


def _differ(one: Forward | None, other: Forward) -> bool:
    return one is not other and one != other  # comparing thousands of them field by field takes milliseconds


def _leads_into(forward: Forward, subnets: Collection[Subnet]) -> bool:
    return bool(subnets) and any(target.address in subnet for target in forward.targets for subnet in subnets)


# -- networks --------------------------------------------------------------------------------------------------------


class Membership(NamedTuple):
    """An element of one of the sets that networks are in.  `after`: of a set of ranges, where this one ends."""

    set: str
    key: bytes
    after: bytes = b""


def memberships(network: Network, family: Family = V4) -> list[Membership]:
    """The sets that a network is in; none where it has no addresses of this family."""
    subnet = family.subnet(network)
    if subnet is None:
        return []
    bridge = network.bridge.encode().ljust(_NAME_BYTES, b"\0")
    found = [Membership("bridges", bridge), Membership("same" if network.icc else "parted", bridge * 2)]
    if not network.isolated and not network.internal:
        found.append(Membership("open", bridge))
    if network.internal:
        found.append(Membership("internal", bridge))
    elif network.masquerade:
        after = (int(subnet.broadcast_address) + 1).to_bytes(family.address_bytes)
        found.append(Membership("masqueraded", subnet.network_address.packed, after))
    return found


# -- what the kernel tells -------------------------------------------------------------------------------------------


def pinned_target(key: bytes, data: bytes, family: Family = V4) -> tuple[bytes, Address, int]:
    """A pin: the key of the service that was asked (as in `services`), and the target it is pinned to."""
    width = family.address_bytes
    return key[width : 2 * width + 8], ip_address(data[:width]), int.from_bytes(data[width : width + 2])
