"""The cloud's table in the kernel: brought to the skeleton, then changed by differences of elements.

The whole table is told again when the daemon starts (connections and pins stay) and when somebody took it away.
Called from threads, one call at a time.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from coracle.linux import nftables
from coracle.linux.nftables import Batch, Rejected
from coracle.net.addresses import Address, Subnet
from coracle.net.api import Forward, Network
from coracle.net.nft import picks, render
from coracle.net.nft.datagrams import forget_stale
from coracle.net.nft.elements import (
    FILLED,
    Difference,
    Element,
    Membership,
    Present,
    elements,
    memberships,
    pinned_target,
)
from coracle.net.nft.family import V4, Family

log = logging.getLogger(__name__)

_TRIES = 5


class Rules:
    """The table `table` of one family.

    `service_range`: addresses that are only ever forwarded, and refused where they are not.
    """

    def __init__(self, table: str, service_range: IPv4Network | None, family: Family = V4) -> None:
        self.table, self._service_range, self._family = table, service_range, family
        self._networks: dict[str, Network] = {}
        self._chains: set[str] = set()
        self._present = Present()
        self._made = False  # whether the skeleton is there
        self._ready = False  # whether the elements are as in _present

    @property
    def forwards(self) -> list[Forward]:
        return list(self._present.forwards.values())

    @property
    def is_used(self) -> bool:
        """Whether anything should be in the table."""
        return bool(self._networks or self._present.forwards)

    # -- networks ------------------------------------------------------------------------------------------------

    def add_network(self, network: Network) -> None:
        """Raises Rejected."""
        if self._made and self._networks.get(network.name) == network:
            return
        self._networks[network.name] = network
        self._ensure_skeleton()
        try:
            self._enroll([network])
        except Rejected as error:
            log.warning("the rules are not as they were left (%s); telling them all again", error)
            self.reassert()
        if self._present.forwards:
            self.steer(self.forwards)  # which targets are outside has changed

    def remove_network(self, network: Network) -> None:
        """Also one that this process never added.  Raises Rejected."""
        self._networks.pop(network.name, None)
        there = memberships(network, self._family)
        if not there or not self.exists():
            return
        try:
            self._strike(there)
        except Rejected:  # some of it is not there
            for one in there:
                try:
                    self._strike([one])
                except Rejected as error:
                    if error.errno != errno.ENOENT:
                        raise

    def _enroll(self, networks: Iterable[Network]) -> None:
        batch = self._batch()
        for set, key, after in (one for network in networks for one in memberships(network, self._family)):
            if after:
                batch.add_range(set, key, after)
            else:
                batch.add(set, [(key, None)])
        batch.commit()

    def _strike(self, there: Iterable[Membership]) -> None:
        batch = self._batch()
        for set, key, after in there:
            if after:
                batch.delete_range(set, key, after)
            else:
                batch.delete(set, [key])
        batch.commit()

    # -- forwards ------------------------------------------------------------------------------------------------

    def steer(self, forwards: Sequence[Forward]) -> None:
        """Make exactly `forwards` true.  Raises Rejected."""
        if not self._ready:
            self._refill(forwards)
            return
        difference = self._present.difference(forwards, self._subnets())
        try:
            self._tell(difference)
        except Rejected as error:
            if error.errno not in (errno.ENOENT, errno.EEXIST, errno.EINVAL):
                raise
            log.warning("the rules are not as they were left (%s); telling them all again", error)
            self._made = False
            self._refill(forwards)
            return
        self._after(difference)

    def reassert(self) -> None:
        """Somebody removed the table: make it again as it was.  Raises Rejected."""
        self._made = False
        self._refill(self.forwards)

    def exists(self) -> bool:
        return self.table in nftables.tables(self._family.word)

    def remove(self) -> None:
        """Take the table away.  Nothing where there is none."""
        if self.exists():
            nftables.run(render.removed(self.table, self._family))
        self._networks.clear()
        self._present = Present()
        self._made = self._ready = False

    # -- how -----------------------------------------------------------------------------------------------------

    def _batch(self) -> Batch:
        return Batch(self.table, self._family.number)

    def _subnets(self) -> tuple[Subnet, ...]:
        found = (self._family.subnet(network) for network in self._networks.values())
        return tuple(subnet for subnet in found if subnet is not None)

    def _ensure_skeleton(self) -> None:
        """The skeleton is brought up to date once in this process's life; the elements stay as they are found."""
        if self._made:
            return
        try:
            nftables.run(render.skeleton(self.table, self._service_range, self._family))
        except Rejected as error:
            log.warning("making the rules anew, another version made them: %s", error)
            nftables.run(render.remade(self.table, self._service_range, self._family))
        self._made = True
        self._chains = set()  # there may be some, of whatever version; they are made anew when they are needed

    def _refill(self, forwards: Sequence[Forward]) -> None:
        """Bring the maps to `forwards` from whatever they hold, in one transaction."""
        self._ensure_skeleton()
        self._enroll(self._networks.values())
        present = Present()
        difference = present.difference(forwards, self._subnets())
        batch = self._batch()
        made = self._make_chains(batch, difference)
        wanted, found = {(e.set, e.key): e for e in difference.add}, self._found()
        _delete(batch, (element for place, element in found.items() if wanted.get(place) != element))
        _add(batch, (element for place, element in wanted.items() if found.get(place) != element))
        batch.commit()
        self._chains |= made
        present.accept(difference)
        self._present, self._ready = present, True
        self._after_all(difference)

    def _found(self) -> dict[tuple[str, bytes], Element]:
        """What the kernel holds."""
        return {
            (name, key): Element(name, key, chain, data)
            for name in FILLED
            for key, data, chain in nftables.entries(self.table, name, self._family.number)
        }

    def _tell(self, difference: Difference) -> None:
        batch = self._batch()
        made = self._make_chains(batch, difference)
        _delete(batch, difference.delete)
        _add(batch, difference.add)
        batch.commit()
        self._chains |= made
        self._present.accept(difference)

    def _make_chains(self, batch: Batch, difference: Difference) -> set[str]:
        """Put the chains that are not there yet into `batch`, or make them at once; returns them."""
        missing = difference.chains - self._chains
        pins = {name for name in missing if name.startswith("pin-")}
        fences = {name: sources for name, sources in difference.fences.items() if name in missing}
        if pins:
            nftables.run(render.pin_chains(self.table, pins, self._family))
        if fences:
            nftables.run(render.fence_chains(self.table, fences, self._family))
        for name in sorted(missing - pins - fences.keys(), key=len):  # `pick-3` before `pick-3-sticky`, its caller
            batch.make_chain(name, picks.rules(name, self._family))
        return missing

    def _after(self, difference: Difference) -> None:
        sticky = [forward for forward in difference.gone if forward.affinity_s is not None]
        if sticky:
            self._unpin()
        self._forget_datagrams((*difference.gone, *difference.come))

    def _after_all(self, difference: Difference) -> None:
        self._unpin()
        self._forget_datagrams(difference.come)

    def _forget_datagrams(self, changed: Iterable[Forward]) -> None:
        datagrams = [forward for forward in changed if forward.transport == "UDP"]
        if datagrams:
            forget_stale(datagrams, self._present.forwards, self._family)

    def _unpin(self) -> None:
        """Let go of clients that are pinned to a target that is no more.

        Forwards of a node's own addresses have pins under each of these addresses.
        """
        allowed: dict[bytes, set[tuple[Address, int]]] = {}
        for forward in self._present.forwards.values():
            if forward.affinity_s is not None:
                for key in _pin_keys(forward):
                    allowed.setdefault(key, set()).update((t.address, t.port) for t in forward.targets)
        for _ in range(_TRIES):
            stale = []
            for key, data, _chain in nftables.entries(self.table, "pins", self._family.number):
                asked, address, port = pinned_target(key, data, self._family)
                if (address, port) not in (
                    allowed.get(asked) or allowed.get(asked[self._family.address_bytes :], set())
                ):
                    stale.append(key)
            batch = self._batch()
            batch.delete("pins", stale)
            try:
                batch.commit()
            except Rejected as error:
                if error.errno != errno.ENOENT:
                    raise
                continue  # one of them ran out by itself meanwhile
            return


def _pin_keys(forward: Forward) -> Iterable[bytes]:
    return (element.key for element in elements(forward) if element.set in ("pinned_by", "node_pinned_by"))


def _by_set(some: Iterable[Element]) -> list[tuple[str, list[Element]]]:
    found: dict[str, list[Element]] = {}
    for element in some:
        found.setdefault(element.set, []).append(element)
    return list(found.items())


def _add(batch: Batch, wanted: Iterable[Element]) -> None:
    for name, some in _by_set(wanted):
        batch.add(name, ((element.key, _value(element)) for element in some))


def _delete(batch: Batch, gone: Iterable[Element]) -> None:
    for name, some in _by_set(gone):
        batch.delete(name, (element.key for element in some))


def _value(element: Element) -> bytes | None:
    if element.chain:
        return nftables.goto(element.chain)
    return nftables.value(element.data) if element.data else None
