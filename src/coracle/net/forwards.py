"""The one place where ports and Forwards of every API meet.

Docker's published ports, Kubernetes' services and floating IPs each own a set of Forwards here under a name of their
own; a port belongs to one of them.  The driver is always told the union.

Changes that come while the kernel is being told, or within a few milliseconds after, go together in the next telling:
the first one to arrive does it for all, so nothing runs in the background.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from coracle.core.clock import Clock
from coracle.core.errors import AlreadyExists, CloudError
from coracle.net.api import Forward, NetDriver, Transport
from coracle.net.holds import Holds, HostPort, NoHolds

PAUSE_S = 0.01  # between two tellings

ANY, LOOPBACK = IPv4Address("0.0.0.0"), IPv4Address("127.0.0.1")  # noqa: S104 - a key, not a bind


class Claim(NamedTuple):
    """What a Forward takes of the port space.  `address` ANY: of the host, all of them."""

    transport: Transport
    address: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Forward that cannot be, and why."""

    forward: Forward
    error: CloudError


def claim_of(forward: Forward) -> Claim:
    if forward.address is not None:
        return Claim(forward.transport, forward.address, forward.port)
    return Claim(forward.transport, LOOPBACK if forward.loopback_only else ANY, forward.port)


class Forwards:
    """The Forwards of every owner.  `owner` is the writer's own name: "kube", "docker/<id>"."""

    def __init__(self, driver: NetDriver, clock: Clock, holds: Holds | None = None) -> None:
        self._driver, self._clock = driver, clock
        self._holds: Holds = holds or NoHolds()
        self._sets: dict[str, dict[Claim, Forward]] = {}
        self._asked = self._told = 0  # changes asked for, and those the kernel has
        self._turn = asyncio.Lock()
        self._last_at_s = float("-inf")

    async def replace(self, owner: str, forwards: Iterable[Forward]) -> None:
        """Make `forwards` the set of `owner`; returns when the kernel has it.

        Raises: AlreadyExists where a port is another owner's or a host process's (nothing has changed then);
                Broken and Unavailable from the driver (asked again with the next change).
        """
        refused = self._accept(owner, forwards, partly=False)
        if refused:
            raise refused[0].error
        await self._tell()

    async def offer(self, owner: str, forwards: Iterable[Forward]) -> list[Refusal]:
        """As `replace`, but what cannot be is left out and returned, and the rest applies."""
        refused = self._accept(owner, forwards, partly=True)
        await self._tell()
        return refused

    async def reassert(self) -> None:
        """Tell the driver again what it was told: after a restart, or when somebody flushed the rules."""
        self._asked += 1
        await self._tell()

    def of(self, owner: str) -> list[Forward]:
        return list(self._sets.get(owner, {}).values())

    def all(self) -> list[Forward]:
        """Every Forward, in order of owner and port."""
        return [self._sets[owner][claim] for owner in sorted(self._sets) for claim in sorted(self._sets[owner])]

    def holder(self, transport: Transport, port: int, address: IPv4Address | None = None) -> str:
        """Who has a port: the Forward's owner, or "".  `address` None: of any of the host's addresses."""
        asked = Claim(transport, address or ANY, port)
        return next((f.owner or f.id for s in self._sets.values() for c, f in s.items() if _clash(asked, c)), "")

    # -- the port space ------------------------------------------------------------------------------------------

    def _accept(self, owner: str, forwards: Iterable[Forward], *, partly: bool) -> list[Refusal]:
        """Replace the owner's set where its ports are free.  Without `partly`, one refusal leaves all as it was."""
        before = self._sets.get(owner, {})
        asked = tuple(forwards)
        gone = before.keys() - {claim_of(forward) for forward in asked}
        self._free(gone)  # first: what goes may be in the way of what comes
        after: dict[Claim, Forward] = {}
        refused: list[Refusal] = []
        for forward in asked:
            claim = claim_of(forward)
            try:
                self._check(owner, claim, after)
                if claim not in before:
                    self._hold(claim)
            except CloudError as error:
                refused.append(Refusal(forward, error))
            else:
                after[claim] = forward
        if refused and not partly:
            self._free(after.keys() - before.keys())
            for claim in gone:
                self._hold(claim)
            return refused
        self._free(before.keys() - gone - after.keys())
        self._keep(owner, before, after)
        return refused

    def _keep(self, owner: str, before: Mapping[Claim, Forward], after: dict[Claim, Forward]) -> None:
        if after == before:
            return
        self._asked += 1
        self._sets[owner] = after
        if not after:
            del self._sets[owner]

    def _check(self, owner: str, claim: Claim, mine: Mapping[Claim, Forward]) -> None:
        others = (claims for name, claims in self._sets.items() if name != owner)
        for claims in (mine, *others):
            for candidate in _neighbours(claim, claims):
                raise _taken(claim, claims[candidate])

    def _hold(self, claim: Claim) -> None:
        try:
            self._holds.take(HostPort(*claim))
        except AlreadyExists:
            # Ours on a single address of the host (`-p 192.0.2.2:80:80`) is in the way of the whole host's.
            for claims in self._sets.values():
                for other, forward in claims.items():
                    if (other.transport, other.port) == (claim.transport, claim.port):
                        raise _taken(claim, forward) from None
            raise

    def _free(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._holds.release(HostPort(*claim))

    # -- telling -------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Return once the driver has been told everything asked up to now."""
        mine = self._asked
        async with self._turn:
            if self._told >= mine:
                return  # somebody told it together with theirs
            rest_s = self._last_at_s + PAUSE_S - self._clock.monotonic_s()
            if rest_s > 0:
                await self._clock.sleep(rest_s)
            telling = self._asked
            try:
                await self._driver.steer(self.all())
                self._told = telling
            finally:
                self._last_at_s = self._clock.monotonic_s()


def _taken(claim: Claim, by: Forward) -> AlreadyExists:
    who = by.owner or by.id
    said = f"port {claim.port}/{claim.transport} is already allocated to {who}"
    return AlreadyExists(said, kind="Port", name=f"{claim.transport}/{claim.port}", holder=who)


def _neighbours(claim: Claim, claims: Mapping[Claim, Forward]) -> list[Claim]:
    """The claims among `claims` that cannot be beside `claim`; quick for the usual cases."""
    candidates = (claim, claim._replace(address=ANY), claim._replace(address=LOOPBACK))
    return [other for other in candidates if other in claims and _clash(claim, other)]


def _clash(one: Claim, other: Claim) -> bool:
    """Same port of the same address, or one of them is the host's whole and the other its loopback.

    A port of a given address (a cluster IP) and the same port of the host are two things.
    """
    if (one.transport, one.port) != (other.transport, other.port):
        return False
    pair = {one.address, other.address}
    return len(pair) == 1 or pair == {ANY, LOOPBACK}
