"""What differs between IPv4 and IPv6 in a table: words of nft's language, widths, places in headers."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from coracle.net.addresses import Subnet
from coracle.net.api import Forward, Network


@dataclass(frozen=True, slots=True)
class Family:
    """`word` as nft calls it; `source`, `destination`: where the addresses begin in a packet."""

    version: int
    number: int
    word: str
    type: str
    address_bytes: int
    source: int
    destination: int
    loopback: Subnet
    unreachable: str
    redirect: str

    def subnet(self, network: Network) -> Subnet | None:
        return network.subnet if self.version == 4 else network.subnet6

    def has(self, forward: Forward) -> bool:
        return forward.version == self.version


V4 = Family(
    version=4,
    number=socket.AF_INET,
    word="ip",
    type="ipv4_addr",
    address_bytes=4,
    source=12,
    destination=16,
    loopback=IPv4Network("127.0.0.0/8"),
    unreachable="icmp type port-unreachable",
    redirect="icmp type redirect",
)
V6 = Family(
    version=6,
    number=socket.AF_INET6,
    word="ip6",
    type="ipv6_addr",
    address_bytes=16,
    source=8,
    destination=24,
    loopback=IPv6Network("::1/128"),
    unreachable="icmpv6 type port-unreachable",
    redirect="icmpv6 type nd-redirect",
)
