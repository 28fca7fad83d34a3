"""The one place where ports and Forwards of every API meet.

Docker's published ports, Kubernetes' services and floating IPs each own a set of Forwards here under a name of their
own; a port belongs to one of them.  The driver is always told the union.

Changes that come while the kernel is being told, or for as long again after, go together in the next telling: the first
one to arrive does it for all, so nothing runs in the background.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from coracle.core.clock import Clock
from coracle.core.errors import AlreadyExists, CloudError
from coracle.net.addresses import Address
from coracle.net.api import Forward, NetDriver, Transport
from coracle.net.holds import Holds, HostPort, NoHolds

PAUSE_S = 0.01  # between two tellings, at most

ANY, LOOPBACK = IPv4Address("0.0.0.0"), IPv4Address("127.0.0.1")  # noqa: S104 - a key, not a bind
ANY6 = IPv6Address("::")


class Claim(NamedTuple):
    """What a Forward takes of the port space.  `address` ANY, ANY6: of the host, all of that family."""

    transport: Transport
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Forward that cannot be, and why."""

    forward: Forward
    error: CloudError


def claim_of(forward: Forward) -> Claim:
    if forward.address is not None:
        return Claim(forward.transport, forward.address, forward.port)
    everywhere = ANY if forward.version == 4 else ANY6
    return Claim(forward.transport, LOOPBACK if forward.loopback_only else everywhere, forward.port)


class Forwards:
    """The Forwards of every owner.  `owner` is the writer's own name: "kube", "docker/<id>"."""

    def __init__(self, driver: NetDriver, clock: Clock, holds: Holds | None = None) -> None:
        self._driver, self._clock = driver, clock
        self._holds: Holds = holds or NoHolds()
        self._sets: dict[str, dict[Claim, Forward]] = {}
        self._owners: dict[Claim, str] = {}
        self._asked = self._told = 0  # changes asked for, and those the kernel has
        self._turn = asyncio.Lock()
        self._next_at_s = float("-inf")

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
        return [forward for owner in sorted(self._sets) for forward in self._sets[owner].values()]

    def holder(self, transport: Transport, port: int, address: Address | None = None) -> str:
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
        for claim in before:
            del self._owners[claim]
        self._owners.update(dict.fromkeys(after, owner))
        self._sets[owner] = {claim: after[claim] for claim in sorted(after, key=_order)}
        if not after:
            del self._sets[owner]

    def _check(self, owner: str, claim: Claim, mine: Mapping[Claim, Forward]) -> None:
        for candidate in _candidates(claim):
            if candidate in mine:
                raise _taken(claim, mine[candidate])
            other = self._owners.get(candidate, owner)
            if other != owner:
                raise _taken(claim, self._sets[other][candidate])

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
            rest_s = self._next_at_s - self._clock.monotonic_s()
            if rest_s > 0:
                await self._clock.sleep(rest_s)
            telling = self._asked
            began_s = self._clock.monotonic_s()
            try:
                await self._driver.steer(self.all())
                self._told = telling
            finally:
                ended_s = self._clock.monotonic_s()
                self._next_at_s = ended_s + min(ended_s - began_s, PAUSE_S)


def _taken(claim: Claim, by: Forward) -> AlreadyExists:
    who = by.owner or by.id
    said = f"port {claim.port}/{claim.transport} is already allocated to {who}"
    return AlreadyExists(said, kind="Port", name=f"{claim.transport}/{claim.port}", holder=who)


def _candidates(claim: Claim) -> list[Claim]:
    """The claims that cannot be beside `claim`."""
    beside = (claim, claim._replace(address=ANY), claim._replace(address=LOOPBACK))
    return [other for other in beside if _clash(claim, other)]


def _clash(one: Claim, other: Claim) -> bool:
    """Same port of the same address, or one of them is the host's whole and the other its loopback.

    A port of a given address (a cluster IP) and the same port of the host are two things.
    """
    if (one.transport, one.port) != (other.transport, other.port):
        return False
    pair = {one.address, other.address}
    return len(pair) == 1 or pair == {ANY, LOOPBACK}


def _order(claim: Claim) -> tuple[str, int, int, int]:
    return (claim.transport, claim.address.version, int(claim.address), claim.port)
