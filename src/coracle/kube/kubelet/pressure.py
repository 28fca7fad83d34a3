"""What the node does when it runs short: gives back what nobody uses, then has a pod go.

One pod at a time: once it has left, the next look tells whether that was enough.
Decide: thresholds, ranking.  Act: Relief.relieve().

Source: Kubernetes documentation, "Node-pressure Eviction".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from typing import Protocol

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.object import Json, Object
from coracle.core.sameness import change_same
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import with_condition
from coracle.kube.kinds.disruption import target
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.ranking import Candidate, message, ranked
from coracle.kube.kubelet.thresholds import Stock, Stocks, Threshold, crossed

AT_ONCE_S = 1.0  # what a hard threshold leaves a pod to end in
LEAVING_S = 30.0  # for so long another one is not evicted while the last one is still leaving
_ON_DISK = ("ephemeral-storage", "inodes")


class Reach(Protocol):
    """What relief can find out and do."""

    async def used(self, pod: Object, resource: str) -> Mapping[str, int]:
        """What a pod uses of `memory` or `ephemeral-storage` (bytes) or `pids`, by container; `ranking.VOLUMES`."""
        ...

    def gone(self, pod: Object) -> bool:
        """Nothing of the pod runs any more, and its volumes have been dropped."""
        ...

    async def tidy(self) -> None:
        """Give back disk: the containers that have ended, and the images that nobody uses."""
        ...


class Evictor:
    """Makes pods fail.  Their loop ends what still runs, and asks `grace_s` how much time it has for that."""

    def __init__(self, writer: Collection, recorder: EventRecorder, clock: Clock) -> None:
        self._writer, self._recorder, self._clock = writer, recorder, clock
        self._graces_s: dict[str, float] = {}  # by uid, of those that may still run
        self.pressed: frozenset[str] = frozenset()  # the conditions of pressure that the node has

    def grace_s(self, pod: Object) -> float | None:
        """None: its own, it was not evicted."""
        return self._graces_s.get(pod.meta.uid)

    def forget(self, live: Container[str]) -> None:
        """All but the pods with these uids."""
        self._graces_s = {uid: grace_s for uid, grace_s in self._graces_s.items() if uid in live}

    async def evict(self, pod: Object, message: str, why: Json | None = None, grace_s: float = AT_ONCE_S) -> None:
        """`why`: a condition that says it, too."""
        self._graces_s[pod.meta.uid] = grace_s
        self._recorder.emit(pod, "Warning", "Evicted", message)
        now = rfc3339(self._clock.now_s())

        def evicted(present: Object) -> Object:
            if pods.ended(present):
                return present
            more = {} if why is None else _with(present, why, now)
            return present.with_status(phase="Failed", reason="Evicted", message=message, **more)

        await change_same(self._writer, pod, evicted, "status")


def _with(pod: Object, condition: Json, now: str) -> Json:
    return {"conditions": with_condition(pod.status.get("conditions"), condition, now)}


class Relief:
    """`max_grace_s`: what a soft threshold leaves a pod to end in, at most."""

    def __init__(
        self,
        cache: Informer,
        evictor: Evictor,
        node: str,
        reach: Reach,
        *,
        recorder: EventRecorder,
        clock: Clock,
        max_grace_s: float = 0.0,
    ) -> None:
        self._clock, self._max_grace_s = clock, max_grace_s
        self._leaving: tuple[Object, float] | None = None  # who was evicted last, and when
        self._pods, self._evictor, self._node, self._reach = cache, evictor, node, reach
        self._recorder = recorder

    def note(self, pressed: frozenset[str]) -> None:
        """The node has these conditions of pressure: new pods may not be welcome."""
        self._evictor.pressed = pressed

    async def relieve(
        self, node: Object, due: Sequence[Threshold], stocks: Stocks, look: Callable[[], Awaitable[Stocks]]
    ) -> None:
        """Do something about the most urgent of the thresholds that are `due`; `look` tells what is left after that."""
        if self._waits():
            return
        urgent = due[0]
        self._recorder.emit(node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {urgent.resource}")
        if urgent.resource in _ON_DISK:
            await self._reach.tidy()
            stocks = await look()
            if not crossed(due, stocks, reclaimed=True):
                return
        self._evictor.forget({pod.meta.uid for pod in self._pods.list()})
        candidates = [Candidate(pod, await self._reach.used(pod, urgent.resource)) for pod in self._here()]
        first = next(iter(ranked(candidates, urgent.resource)), None)
        if first is not None:
            said = message(urgent, stocks.get(urgent.signal, Stock(0, 0)), first)
            grace_s = self._max_grace_s if urgent.grace_s else AT_ONCE_S
            await self._evictor.evict(first.pod, said, target("TerminationByKubelet", said), grace_s)
            self._leaving = first.pod, self._clock.monotonic_s()

    def _waits(self) -> bool:
        """Whether what was measured may be of before the last one had left."""
        if self._leaving is None:
            return False
        pod, since_s = self._leaving
        if self._reach.gone(pod) or self._clock.monotonic_s() - since_s > LEAVING_S:
            self._leaving = None  # the next look is after it
        return True

    def _here(self) -> list[Object]:
        return [pod for pod in self._pods.list() if pod.spec.get("nodeName") == self._node and pods.active(pod)]
