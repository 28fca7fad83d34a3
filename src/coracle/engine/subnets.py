"""Which subnet a network gets, and whether one that was asked for can be had.  Pure.

    172.17.0.0/16 ... 172.31.0.0/16     Docker's own pools, in its order
    192.168.0.0/20 ... 192.168.240.0/20
    10.128.0.0/20 ... 10.191.240.0/20   a thousand more, where Docker's are spent
    fdxx:xxxx:xxxx:0::/64 ...           IPv6: a prefix of the cloud's own (RFC 4193)

Source: Docker documentation, "Default address pools"; messages of libnetwork's ipam.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from coracle.core.errors import Exhausted, Forbidden, Malformed
from coracle.net.addresses import Address, Subnet

SMALLEST = 30  # prefix length: one address besides the gateway's
_FIRST = IPv4Network("172.17.0.0/16")
_POOLS = (("172.16.0.0/12", 16), ("192.168.0.0/16", 20), ("10.128.0.0/10", 20))


def pools() -> Iterator[IPv4Network]:
    """The subnets that are given out, in order."""
    for pool, length in _POOLS:
        for subnet in IPv4Network(pool).subnets(new_prefix=length):
            if subnet >= _FIRST or subnet.prefixlen != _FIRST.prefixlen:
                yield subnet


def pools6(tag: str) -> Iterator[IPv6Network]:
    """The IPv6 subnets of the cloud with this tag: 65,536 of a prefix that follows from it."""
    prefix = b"\xfd" + hashlib.sha256(tag.encode()).digest()[:5]
    for number in range(1 << 16):
        yield IPv6Network((prefix + number.to_bytes(2) + bytes(8), 64))


def next_free(candidates: Iterable[Subnet], taken: Iterable[Subnet]) -> Subnet:
    """The first candidate that overlaps nothing taken.  Raises Exhausted."""
    present = list(taken)
    for candidate in candidates:
        if not any(overlaps(candidate, other) for other in present):
            return candidate
    raise Exhausted("all predefined address pools have been fully subnetted")


def settle(asked: str, candidates: Iterable[Subnet], taken: Sequence[tuple[Subnet, str]]) -> Subnet:
    """The subnet asked for, or with "" the first free candidate.  `taken`: what others have, and who they are.

    Raises: Malformed, Forbidden (overlaps), Exhausted.
    """
    if not asked:
        return next_free(candidates, (other for other, _ in taken))
    subnet = read_subnet(asked)
    for other, whose in taken:
        if overlaps(subnet, other):
            said = "invalid pool request: Pool overlaps with other one on this address space"
            raise Forbidden(f"{said} ({other} of {whose})", kind="Network")
    return subnet


def gateway(asked: str, subnet: Subnet, part: str) -> Address:
    """The gateway asked for, or the first address that is given out.  Raises Malformed."""
    if asked:
        return read_member(asked, subnet, f"gateway {asked}")
    first = read_range(part, subnet).network_address if part else subnet.network_address
    return first + 1 if first == subnet.network_address else first


def home_of(address: str, *candidates: str) -> Subnet:
    """Which of these subnets an address is of: the first of its family."""
    family = 6 if ":" in address else 4
    found = [ip_network(text) for text in candidates if text]
    return next((subnet for subnet in found if subnet.version == family), found[0])


def overlaps(one: Subnet, other: Subnet) -> bool:
    """Of one family, with an address in both."""
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)


def read_subnet(text: str) -> Subnet:
    """Raises Malformed: not a subnet, host bits set, too small to hold anybody."""
    try:
        subnet = ip_network(text, strict=False)
    except ValueError as error:
        raise Malformed(f"invalid subnet {text}: invalid CIDR block notation") from error
    if str(subnet) != str(_as_written(text)):
        raise Malformed(f"invalid subnet {text}: it should be {subnet}")
    if isinstance(subnet, IPv4Network) and subnet.prefixlen > SMALLEST:
        raise Malformed(f"invalid subnet {text}: no room for a gateway and a container")
    return subnet


def read_range(text: str, subnet: Subnet) -> Subnet:
    """The part of `subnet` that addresses are given from.  Raises Malformed."""
    try:
        part = ip_network(text, strict=False)
    except ValueError as error:
        raise Malformed(f"invalid ip-range {text}: invalid CIDR block notation") from error
    if part.version != subnet.version:
        raise Malformed(f"invalid ip-range {text}: parent subnet is an IPv{subnet.version} block")
    if part.prefixlen < subnet.prefixlen:
        raise Malformed(f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}")
    if str(part) != str(_as_written(text)):
        raise Malformed(f"invalid ip-range {text}: it should be {part}")
    if not overlaps(part, subnet):
        raise Malformed(f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range")
    return part


def read_member(text: str, subnet: Subnet, what: str) -> Address:
    """An address of `subnet`; `what` begins the message ("gateway 10.0.0.1").  Raises Malformed."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise Malformed(f"invalid {what}: invalid address") from error
    if address.version != subnet.version:
        raise Malformed(f"invalid {what}: parent subnet is an IPv{subnet.version} block")
    if address not in subnet:
        raise Malformed(f"invalid {what}: parent subnet {subnet} doesn't contain this address")
    return address


def _as_written(text: str) -> str:
    """A subnet's text with its address in the usual form, host bits kept."""
    address, _, length = text.partition("/")
    return f"{ip_address(address)}/{length}" if length else f"{ip_address(address)}"
