"""Make pods go from nodes with a NoExecute taint that they do not tolerate, or not for that long.

Decide: patience_s(), pure.  Act: Tainted.reconcile().

Source: Kubernetes documentation, "Taints and Tolerations: Taint based Evictions".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from coracle.core.clock import Clock, from_rfc3339, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import Conflict, NotFound
from coracle.core.informer import Informer
from coracle.core.loop import Again
from coracle.core.object import Json, Key, Object
from coracle.core.store import Event
from coracle.kube.controllers import podgc
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.disruption import doomed, target
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.taints import tolerated

SPEAKER = "taint-eviction-controller"
NODE, POD = nodes.KIND.type, pods.KIND.type
INDEXES = podgc.INDEXES
_WHY = target("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")


def evicting(node: Object) -> list[Json]:
    return [taint for taint in node.spec.get("taints") or () if taint.get("effect") == "NoExecute"]


def patience_s(taints: Iterable[Json], tolerations: Sequence[Json]) -> float:
    """For how long a pod may stay with these taints: 0 not at all, infinity for ever."""
    least_s = math.inf
    for taint in taints:
        bearing = [one for one in tolerations if tolerated(taint, (one,))]
        if not bearing:
            return 0
        limits_s = [one["tolerationSeconds"] for one in bearing if one.get("tolerationSeconds") is not None]
        least_s = min([least_s, *(max(0, limit_s) for limit_s in limits_s)])
    return least_s


class Tainted:
    name = "taint-eviction"

    def __init__(
        self, caches: Mapping[str, Informer], writer: Collection, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._nodes, self._pods = caches[NODE], caches[POD]
        self._writer, self._recorder, self._clock = writer, recorder, clock
        self._since_s: dict[str, float] = {}  # pod's uid -> since when it bears taints that do not say so themselves
        self.watches = {NODE: self._on_node, POD: _changed}

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._pods.find(key)
        if pod is None or not pod.spec.get("nodeName") or pod.meta.deleting:
            return None
        node = self._nodes.find(Key("", pod.spec["nodeName"]))
        taints = evicting(node) if node is not None else []
        if not taints:
            if self._since_s.pop(pod.meta.uid, None) is not None:
                said = f"Cancelling deletion of Pod {pod.meta.namespace}/{pod.meta.name}"
                self._recorder.emit(pod, "Normal", "TaintManagerEviction", said)
            return None
        wait_s = patience_s(taints, pod.spec.get("tolerations") or ())
        if math.isinf(wait_s):
            return None
        left_s = self._since(pod, taints) + wait_s - self._clock.now_s()
        if wait_s and left_s > 0:
            return Again(left_s)
        self._since_s.pop(pod.meta.uid, None)
        await self._evict(pod)
        return None

    def _since(self, pod: Object, taints: Iterable[Json]) -> float:
        known = [from_rfc3339(taint["timeAdded"]) for taint in taints if taint.get("timeAdded")]
        first_s = self._since_s.setdefault(pod.meta.uid, self._clock.now_s())
        return min([first_s, *known])

    async def _evict(self, pod: Object) -> None:
        now = rfc3339(self._clock.now_s())
        said = f"Marking for deletion Pod {pod.meta.namespace}/{pod.meta.name}"
        self._recorder.emit(pod, "Normal", "TaintManagerEviction", said)
        try:
            await self._writer.change(pod.key, lambda one: doomed(one, pod.meta.uid, _WHY, now), "status")
            await self._writer.delete(pod.key, Deletion(uid=pod.meta.uid), missing_ok=True)
        except (Conflict, NotFound):
            return  # gone, or another pod by now

    def _on_node(self, event: Event) -> Iterable[Key]:
        before = evicting(event.before.object()) if event.before is not None else []
        changed = evicting(event.entry.object()) != before
        return self._pods.keys_by("node", event.entry.key.name) if changed else ()


def _changed(event: Event) -> Iterable[Key]:
    """Where the pod runs, and what it bears."""
    if event.type == "DELETED":
        return ()
    if event.before is None:
        return (event.entry.key,)
    new, old = event.entry.object().spec, event.before.object().spec
    same = all(new.get(name) == old.get(name) for name in ("nodeName", "tolerations"))
    return () if same else (event.entry.key,)
