"""The cloud's table in the kernel: brought to the skeleton, then changed by differences of elements.

The whole table is told again when the daemon starts (connections and pins stay) and when somebody took it away.
Called from threads, one call at a time.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from coracle.linux import conntrack, netlink, nftables, routes
from coracle.linux.nftables import Batch, Rejected
from coracle.net.api import Forward, Network
from coracle.net.nft import picks, render
from coracle.net.nft.render import Difference, Element, Present

log = logging.getLogger(__name__)

_LOOPBACK = IPv4Network("127.0.0.0/8")
_TRIES = 5


class Rules:
    """The table `table`.  `service_range`: addresses that are only ever forwarded, and refused where they are not."""

    def __init__(self, table: str, service_range: IPv4Network | None) -> None:
        self.table, self._service_range = table, service_range
        self._networks: dict[str, Network] = {}
        self._chains: set[str] = set()
        self._present = Present()
        self._made = False  # whether the skeleton is there
        self._ready = False  # whether the elements are as in _present

    @property
    def forwards(self) -> list[Forward]:
        return list(self._present.forwards.values())

    # -- networks ------------------------------------------------------------------------------------------------

    def add_network(self, network: Network) -> None:
        """Raises Rejected."""
        self._networks[network.name] = network
        self._ensure_skeleton()
        try:
            nftables.run(render.add_network(self.table, network))
        except Rejected as error:
            log.warning("the rules are not as they were left (%s); telling them all again", error)
            self.reassert()
        if self._present.forwards:
            self.steer(self.forwards)  # which targets are outside has changed

    def remove_network(self, network: Network) -> None:
        """Also one that this process never added."""
        self._networks.pop(network.name, None)
        for name, item in render.network_elements(network):
            try:
                nftables.run(f"delete element ip {self.table} {name} {{ {item} }}\n")
            except Rejected as error:
                log.debug("not removed: %s", error)  # nft's words do not tell "was not there" from the rest

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
        return self.table in nftables.tables()

    def remove(self) -> None:
        """Take the table away.  Nothing where there is none."""
        nftables.run(f"table ip {self.table} {{ }}\ndelete table ip {self.table}\n")
        self._networks.clear()
        self._present = Present()
        self._made = self._ready = False

    # -- how -----------------------------------------------------------------------------------------------------

    def _subnets(self) -> tuple[IPv4Network, ...]:
        return tuple(network.subnet for network in self._networks.values())

    def _ensure_skeleton(self) -> None:
        """The skeleton is brought up to date once in this process's life; the elements stay as they are found."""
        if self._made:
            return
        try:
            nftables.run(render.skeleton(self.table, self._service_range))
        except Rejected as error:
            log.warning("making the rules anew, another version made them: %s", error)
            nftables.run(render.remade(self.table, self._service_range))
        self._made = True
        self._chains = set()  # there may be some, of whatever version; they are made anew when they are needed

    def _refill(self, forwards: Sequence[Forward]) -> None:
        """Bring the maps to `forwards` from whatever they hold, in one transaction."""
        self._ensure_skeleton()
        nftables.run("".join(render.add_network(self.table, network) for network in self._networks.values()))
        present = Present()
        difference = present.difference(forwards, self._subnets())
        batch = Batch(self.table)
        made = self._make_chains(batch, difference.chains)
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
            for name in render.FILLED
            for key, data, chain in nftables.entries(self.table, name)
        }

    def _tell(self, difference: Difference) -> None:
        batch = Batch(self.table)
        made = self._make_chains(batch, difference.chains)
        _delete(batch, difference.delete)
        _add(batch, difference.add)
        batch.commit()
        self._chains |= made
        self._present.accept(difference)

    def _make_chains(self, batch: Batch, names: set[str]) -> set[str]:
        """Put the chains that are not there yet into `batch`; returns them."""
        missing = names - self._chains
        pins = {name for name in missing if name.startswith("pin-")}
        if pins:
            nftables.run(render.pin_chains(self.table, pins))
        for name in sorted(missing - pins, key=len):  # `pick-3` before `pick-3-sticky`, which leads to it
            batch.make_chain(name, picks.rules(name))
        return missing

    def _after(self, difference: Difference) -> None:
        sticky = [forward for forward in difference.gone if forward.affinity_s is not None]
        if sticky:
            self._unpin()
        datagrams = [f for f in (*difference.gone, *difference.come) if f.transport == "UDP"]
        if datagrams:
            _forget(datagrams, self._present.forwards)

    def _after_all(self, difference: Difference) -> None:
        self._unpin()
        _forget([forward for forward in difference.come if forward.transport == "UDP"], self._present.forwards)

    def _unpin(self) -> None:
        """Let go of clients that are pinned to a target that is no more.

        Forwards of a node's own addresses have pins under each of these addresses.
        """
        allowed: dict[bytes, set[tuple[IPv4Address, int]]] = {}
        for forward in self._present.forwards.values():
            if forward.affinity_s is not None:
                for key in _pin_keys(forward):
                    allowed.setdefault(key, set()).update((t.address, t.port) for t in forward.targets)
        for _ in range(_TRIES):
            stale = []
            for key, data, _chain in nftables.entries(self.table, "pins"):
                asked, address, port = render.pinned_target(key, data)
                if (address, port) not in (allowed.get(asked) or allowed.get(asked[4:], set())):
                    stale.append(key)
            batch = Batch(self.table)
            batch.delete("pins", stale)
            try:
                batch.commit()
            except Rejected as error:
                if error.errno != errno.ENOENT:
                    raise
                continue  # one of them ran out by itself meanwhile
            return


def _pin_keys(forward: Forward) -> Iterable[bytes]:
    return (element.key for element in render.elements(forward) if element.set in ("pinned_by", "node_pinned_by"))


def _by_set(elements: Iterable[Element]) -> list[tuple[str, list[Element]]]:
    found: dict[str, list[Element]] = {}
    for element in elements:
        found.setdefault(element.set, []).append(element)
    return list(found.items())


def _add(batch: Batch, elements: Iterable[Element]) -> None:
    for name, some in _by_set(elements):
        batch.add(name, ((element.key, _value(element)) for element in some))


def _delete(batch: Batch, elements: Iterable[Element]) -> None:
    for name, some in _by_set(elements):
        batch.delete(name, (element.key for element in some))


def _value(element: Element) -> bytes | None:
    if element.chain:
        return nftables.goto(element.chain)
    return nftables.value(element.data) if element.data else None


def _forget(changed: Sequence[Forward], present: dict[str, Forward]) -> None:
    """Make datagrams that still go to a target that is no more, or past a new Forward, be steered anew."""
    if not changed:
        return
    with netlink.Netlink() as kernel:
        local = {address for _index, address, _prefix in routes.addresses(kernel)}
    allowed: dict[tuple[IPv4Address | None, int], set[tuple[IPv4Address, int]]] = {
        (forward.address, forward.port): set() for forward in changed
    }
    for forward in present.values():
        if forward.transport == "UDP" and (forward.address, forward.port) in allowed:
            allowed[forward.address, forward.port].update((t.address, t.port) for t in forward.targets)

    def stale(flow: conntrack.Flow) -> bool:
        address, port = flow.asked
        targets = allowed.get((address, port))
        if targets is None and (address in local or address in _LOOPBACK):
            targets = allowed.get((None, port))
        return targets is not None and flow.answering not in targets

    conntrack.forget_datagrams(stale)
