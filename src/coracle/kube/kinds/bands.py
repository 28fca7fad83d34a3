"""In which order numbers of a range are given to who has not asked for one: the lower part, which is for who has, last.

Pure but for chance.  Source: Kubernetes documentation, "Service ClusterIP allocation", "Avoiding collisions" of node
ports; KEP-3668.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_GUESSES = 64  # before looking at every one
_LEAST = 16


@dataclass(frozen=True, slots=True)
class Band:
    """The lower part: a `step`th of the range, at least 16 and at most `most`; nothing of a small range."""

    step: int
    most: int

    def of(self, size: int) -> int:
        return min(max(_LEAST, size // self.step), self.most) if size > _LEAST else 0


ADDRESSES, PORTS = Band(16, 256), Band(32, 128)


def addresses(network: IPv4Network, skip: int) -> Iterator[int]:
    """The addresses of `network` but its ends and the first `skip`."""
    first, last = (int(end) for end in ends(network))
    return _upper_first(first + 1 + skip, last - 1, ADDRESSES.of(last - first - 1) - skip)


def ports(first: int, last: int) -> Iterator[int]:
    return _upper_first(first, last, PORTS.of(last - first + 1))


def ends(network: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
    """Two addresses that are nobody's."""
    return network.network_address, network.broadcast_address


def _upper_first(first: int, last: int, band: int) -> Iterator[int]:
    """Those above the band by chance, then all in order: quick while there are many, complete when there are few."""
    above = first + max(band, 0)
    for _ in range(_GUESSES):
        yield random.randint(above, last)  # noqa: S311 - spread, not secrecy
    yield from range(above, last + 1)
    yield from range(first, above)
