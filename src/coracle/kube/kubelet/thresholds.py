"""When the node is short of something: thresholds on what is available, as a KubeletConfiguration writes them.  Pure.

    memory.available    bytes that programs can still have
    nodefs, imagefs, containerfs .available, .inodesFree    of the disk with the cloud's files: here all three are one
    pid.available       processes that can still be made

A hard threshold counts at once, a soft one (`grace_s`) after it has been crossed for so long.  One that was crossed
counts until `reclaim` more than it asks for is available.  The node's conditions stay for a while after that.

Source: Kubernetes documentation, "Node-pressure Eviction"; KubeletConfiguration v1beta1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_DISK = ("nodefs", "imagefs", "containerfs")
MEMORY, PIDS = "memory.available", "pid.available"
BYTES, INODES = (tuple(f"{place}.{what}" for place in _DISK) for what in ("available", "inodesFree"))
SIGNALS = (MEMORY, *BYTES, *INODES, PIDS)
_CONDITIONS = {
    MEMORY: "MemoryPressure",
    PIDS: "PIDPressure",
    **dict.fromkeys((*BYTES, *INODES), "DiskPressure"),
}
_RESOURCES = {
    MEMORY: "memory",
    PIDS: "pids",
    **dict.fromkeys(BYTES, "ephemeral-storage"),
    **dict.fromkeys(INODES, "inodes"),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """So many bytes (or inodes, or processes); or that part of what there is (`share`, at most 1)."""

    units: int = 0
    share: float = 0.0

    def of(self, capacity: int) -> int:
        return int(self.share * capacity) if self.share else self.units


@dataclass(frozen=True, slots=True)
class Threshold:
    """Less than `amount` of `signal` is too little."""

    signal: str
    amount: Amount
    grace_s: float = 0.0
    reclaim: Amount = Amount()

    @property
    def resource(self) -> str:
        """What it is of, as specs and messages name it."""
        return _RESOURCES[self.signal]

    @property
    def condition(self) -> str:
        """What it says of the node."""
        return _CONDITIONS[self.signal]


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is of something, and how much of it is left.  `capacity` 0: there is no such number here."""

    capacity: int
    available: int


Stocks = Mapping[str, Stock]  # by signal


def crossed(thresholds: Iterable[Threshold], stocks: Stocks, *, reclaimed: bool = False) -> list[Threshold]:
    """Those of which too little is there; with `reclaimed`, until what they want back is there, too."""
    found = []
    for one in thresholds:
        stock = stocks.get(one.signal, Stock(0, 0))
        more = one.reclaim.of(stock.capacity) if reclaimed else 0
        if stock.capacity and stock.available < one.amount.of(stock.capacity) + more:
            found.append(one)
    return found


@dataclass(frozen=True, slots=True)
class Strain:
    """What was found, look after look.  Times: seconds, of one clock.

    since    threshold -> when it was first found to be crossed, of those that still count
    last     condition of the node -> when it was found last
    due      the thresholds that somebody has to do something about now, the most urgent one first
    """

    since: Mapping[Threshold, float] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)
    due: Sequence[Threshold] = ()

    def look(self, thresholds: Sequence[Threshold], stocks: Stocks, now_s: float) -> Strain:
        """After one more look."""
        counting = {*crossed(thresholds, stocks), *crossed(self.due, stocks, reclaimed=True)}
        since = {one: self.since.get(one, now_s) for one in thresholds if one in counting}
        due = [one for one, since_s in since.items() if now_s - since_s >= one.grace_s]
        last = {**self.last, **{one.condition: now_s for one in since}}
        return Strain(since, last, sorted(due, key=lambda one: SIGNALS.index(one.signal)))

    def conditions(self, now_s: float, transition_s: float) -> frozenset[str]:
        """The node's conditions that are True: found now, or less than `transition_s` ago."""
        there = {one.condition for one in self.since}
        return frozenset(there | {name for name, last_s in self.last.items() if now_s - last_s < transition_s})
