"""Isolation as a table of its own, which is there only while something is isolated.

    forward, 10     from whom: ip saddr --egress-->  goto out-3     (equal allowances share a chain)
    forward, 11     to whom:   ip daddr --ingress--> goto in-0

Both come after the choice of a target and after `pass`.  A change tells the whole table again, in one transaction: few
are isolated, and seldom does it change.

Decide: rendered(), pure.  Act: PolicyTable, called from threads, one call at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, collapse_addresses

from coracle.linux import nftables
from coracle.net.api import Transport
from coracle.net.nft.render import removed
from coracle.net.policing import Allowance, Isolation, Span

Allowances = tuple[Allowance, ...]
_EVERYBODY = "0.0.0.0/0"


class PolicyTable:
    def __init__(self, table: str) -> None:
        self.table = table
        self._isolations: tuple[Isolation, ...] = ()

    @property
    def is_used(self) -> bool:
        return bool(self._isolations)

    def isolate(self, isolations: Sequence[Isolation]) -> None:
        """Raises Rejected."""
        if isolations:
            nftables.run(removed(self.table) + rendered(self.table, isolations))
        else:
            self.remove()
        self._isolations = tuple(isolations)

    def reassert(self) -> None:
        """Raises Rejected."""
        self.isolate(self._isolations)

    def exists(self) -> bool:
        return self.table in nftables.tables()

    def remove(self) -> None:
        if self.exists():
            nftables.run(removed(self.table))
        self._isolations = ()


def rendered(table: str, isolations: Iterable[Isolation]) -> str:
    """Commands that make the table from nothing."""
    listed = sorted(isolations, key=lambda one: one.address)
    chains: dict[tuple[str, Allowances], str] = {}
    maps = "".join(_map(way, listed, chains) for way in ("egress", "ingress"))
    filled = "".join(_chain(name, way, allowances) for (way, allowances), name in chains.items())
    own = ", ".join(f"{one.address} . {one.address}" for one in listed)
    return (
        f"table ip {table} {{\n"
        f"  set own {{ type ipv4_addr . ipv4_addr; elements = {{ {own} }}; }}\n"
        f"{filled}{maps}{_base('out', 10, 'saddr', 'egress')}{_base('in', 11, 'daddr', 'ingress')}}}\n"
    )


def _map(way: str, isolations: Iterable[Isolation], chains: dict[tuple[str, Allowances], str]) -> str:
    elements = []
    for one in isolations:
        allowances = one.egress if way == "egress" else one.ingress
        if allowances is not None:
            name = chains.setdefault((way, allowances), f"{'out' if way == 'egress' else 'in'}-{len(chains)}")
            elements.append(f"{one.address} : goto {name}")
    held = f" elements = {{ {', '.join(elements)} }};" if elements else ""
    return f"  map {way} {{ type ipv4_addr : verdict;{held} }}\n"


def _base(name: str, priority: int, side: str, way: str) -> str:
    rules = ("ct state established,related accept", "ip saddr . ip daddr @own accept", f"ip {side} vmap @{way}")
    body = "".join(f"    {rule}\n" for rule in rules)
    return f"  chain {name} {{\n    type filter hook forward priority {priority}; policy accept;\n{body}  }}\n"


def _chain(name: str, way: str, allowances: Allowances) -> str:
    rules = [rule for one in allowances for rule in _rules(one, "daddr" if way == "egress" else "saddr")]
    body = "".join(f"    {rule}\n" for rule in (*dict.fromkeys(rules), "drop"))
    return f"  chain {name} {{\n{body}  }}\n"


def _rules(allowance: Allowance, side: str) -> list[str]:
    """One for each transport; none where there is nobody to allow."""
    if allowance.networks == () or allowance.spans == ():
        return []
    match = ""
    if allowance.networks is not None and _EVERYBODY not in allowance.networks:
        match += f"ip {side} {_addresses(allowance.networks)} "
    if allowance.excepted:
        match += f"ip {side} != {_addresses(allowance.excepted)} "
    if allowance.spans is None:
        return [f"{match}accept"]
    transports: list[Transport] = sorted({span.transport for span in allowance.spans})
    return [f"{match}{_ports(transport, allowance.spans)} accept" for transport in transports]


def _addresses(networks: Iterable[str]) -> str:
    """A set without overlaps, which the kernel would refuse."""
    whole = collapse_addresses(IPv4Network(one) for one in networks)
    merged = (str(one.network_address) if one.prefixlen == 32 else str(one) for one in whole)
    return f"{{ {', '.join(merged)} }}"


def _ports(transport: Transport, spans: Iterable[Span]) -> str:
    mine = sorted(span for span in spans if span.transport == transport)
    word = f"meta l4proto {transport.lower()}"
    if any(not span.first for span in mine):
        return word
    merged: list[list[int]] = []
    for span in mine:
        if merged and span.first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], span.last)
        else:
            merged.append([span.first, span.last])
    shown = (str(first) if first == last else f"{first}-{last}" for first, last in merged)
    return f"{word} th dport {{ {', '.join(shown)} }}"
