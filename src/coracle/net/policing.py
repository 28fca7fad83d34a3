"""Who may speak to whom: addresses that are isolated, and what is allowed to them all the same.

Beside `api.NetDriver`: an ability of its own, which costs nothing while nothing is isolated.  Addresses (`10.32.0.5`)
and ranges (`10.0.0.0/8`) are texts: there may be many, and they are compared often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from coracle.net.api import Transport


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Ports of a transport, from `first` to `last`; `first` 0: all of them."""

    transport: Transport
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """With whom (None: everybody; never `excepted`), and at which ports (None: everything, pings too)."""

    networks: tuple[str, ...] | None = None
    excepted: tuple[str, ...] = ()
    spans: tuple[Span, ...] | None = None


@dataclass(frozen=True, slots=True)
class Isolation:
    """One address of a plug: what may come to it, and what may go from it.  None: whatever likes."""

    address: str
    ingress: tuple[Allowance, ...] | None = None
    egress: tuple[Allowance, ...] | None = None


class Policing(Protocol):
    """Isolates plugs in the kernel."""

    async def isolate(self, isolations: Sequence[Isolation]) -> None:
        """Make exactly these true, in one transaction.

        What is not allowed gets no answer.  Not concerned are what the host itself sends and is sent, what an address
        sends to itself, and connections that are there already.
        """
        ...
