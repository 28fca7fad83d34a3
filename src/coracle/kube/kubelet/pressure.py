"""What the node does when it runs short of memory or disk: gives back images that nobody uses, then has a pod go.

One pod at a time, and then the next look tells whether that was enough.  Those go first that use more than they asked
for, of these the least important, of these the one that is furthest over.

Decide: signals(), ranked(), pure.  Act: Relief.relieve().

Source: Kubernetes documentation, "Node-pressure Eviction".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.informer import Informer
from coracle.core.object import Object
from coracle.core.quantity import ZERO, Quantity, parse
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.disruption import target
from coracle.kube.kinds.podspec.amounts import requests
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.records import everyone

LOW_MEMORY_BYTES = 100 * 1024 * 1024  # the kubelet's eviction threshold
LOW_DISK_BYTES = 512 * 1024 * 1024
CRITICAL = 2_000_000_000  # pods of this priority stay
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Signal:
    """A resource that the node is short of, as specs name it, and of which less than `threshold_bytes` is left."""

    resource: str
    threshold_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod of this node, and what its containers use, in bytes; {} where that is not known."""

    pod: Object
    used_bytes: Mapping[str, int] = field(default_factory=dict)

    def over_bytes(self, resource: str) -> int:
        """By how much it uses more than it asked for; not above 0: it does not."""
        return sum(self.used_bytes.values()) - requests(self.pod.spec).get(resource, ZERO).whole


def signals(memory_bytes: int, disk_bytes: int) -> list[Signal]:
    """What the node is short of, with so much of both free."""
    found = [Signal("memory", LOW_MEMORY_BYTES, memory_bytes), Signal("ephemeral-storage", LOW_DISK_BYTES, disk_bytes)]
    return [one for one in found if one.available_bytes < one.threshold_bytes]


def ranked(candidates: Iterable[Candidate], resource: str) -> list[Candidate]:
    """Who goes first."""

    def order(one: Candidate) -> tuple[object, ...]:
        over = one.over_bytes(resource)
        return (over <= 0, one.pod.spec.get("priority") or 0, -over, str(one.pod.key))

    return sorted((one for one in candidates if (one.pod.spec.get("priority") or 0) < CRITICAL), key=order)


def message(signal: Signal, candidate: Candidate) -> str:
    """What is said of the pod that has to go."""
    said = (
        f"The node was low on resource: {signal.resource}. Threshold quantity: {_shown(signal.threshold_bytes)}, "
        f"available: {_shown(signal.available_bytes)}. "
    )
    asked = {one["name"]: (one.get("resources") or {}).get("requests") or {} for one in everyone(candidate.pod)}
    for name, used_bytes in candidate.used_bytes.items():
        request = parse(asked.get(name, {}).get(signal.resource, "0"))
        if used_bytes > request.whole:
            said += (
                f"Container {name} was using {_shown(used_bytes)}, request is {request}, "
                f"has larger consumption of {signal.resource}. "
            )
    return said


def _shown(amount_bytes: int) -> str:
    return str(Quantity(amount_bytes // 1024 * 1024 * _NANO, "binary"))


@dataclass(frozen=True, slots=True)
class Reach:
    """What relief can read and do.

    memory  of a pod: bytes that its containers use, by name
    prune   removes the images that nobody uses; gives the bytes that this freed
    """

    memory: Callable[[Object], Mapping[str, int]]
    prune: Callable[[], Awaitable[int]]


class Relief:
    def __init__(
        self, cache: Informer, writer: Collection, node: str, reach: Reach, *, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._pods, self._writer, self._node, self._reach = cache, writer, node, reach
        self._recorder, self._clock = recorder, clock

    async def relieve(self, node: Object, memory_bytes: int, disk_bytes: int) -> None:
        """With so much free: nothing, where that is enough."""
        for signal in signals(memory_bytes, disk_bytes):
            self._recorder.emit(node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {signal.resource}")
            if signal.resource != "memory" and await self._reach.prune() > 0:
                continue
            first = next(iter(ranked(self._candidates(signal.resource), signal.resource)), None)
            if first is not None:
                await self._evict(first, signal)

    def _candidates(self, resource: str) -> Sequence[Candidate]:
        here = [pod for pod in self._pods.list() if pod.spec.get("nodeName") == self._node and pods.active(pod)]
        return [Candidate(pod, self._reach.memory(pod) if resource == "memory" else {}) for pod in here]

    async def _evict(self, candidate: Candidate, signal: Signal) -> None:
        """The pod has failed; its loop ends what still runs."""
        pod, said, now = candidate.pod, message(signal, candidate), rfc3339(self._clock.now_s())
        self._recorder.emit(pod, "Warning", "Evicted", said)
        why = target("TerminationByKubelet", said)

        def evicted(present: Object) -> Object:
            if present.meta.uid != pod.meta.uid or pods.ended(present):
                return present
            conditions = pods.with_condition(present.status.get("conditions"), why, now)
            return present.with_status(phase="Failed", reason="Evicted", message=said, conditions=conditions)

        try:
            await self._writer.change(pod.key, evicted, "status")
        except NotFound:
            return
