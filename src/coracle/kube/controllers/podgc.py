"""Remove pods that nobody is left to end: their node is gone, or out of service.

Source: Kubernetes documentation, "Pod Lifecycle: Garbage collection of Pods", "Non-graceful node shutdown"; condition
DisruptionTarget.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import NotFound
from coracle.core.informer import Index, Informer
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Object
from coracle.core.sameness import delete_same
from coracle.core.store import Event
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import with_condition
from coracle.kube.kinds.disruption import target

POD, NODE = pods.KIND.type, nodes.KIND.type
PATIENCE_S = 40.0  # a node that is registered anew keeps its pods
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_LOST = target("DeletionByPodGC", "PodGC: node no longer exists")


def _on(pod: Object) -> Iterable[str]:
    return (pod.spec["nodeName"],) if pod.spec.get("nodeName") else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {POD: {"node": _on}}


def out_of_service(node: Object) -> bool:
    """Somebody has said that it will not come back as it was, and it does not answer."""
    return not nodes.ready(node) and any(taint["key"] == OUT_OF_SERVICE for taint in node.spec.get("taints") or ())


class LostPods:
    name = "podgc"

    def __init__(self, caches: Mapping[str, Informer], writer: Collection, clock: Clock) -> None:
        self._pods, self._nodes = caches[POD], caches[NODE]
        self._writer, self._clock = writer, clock
        self._missed_since_s: dict[str, float] = {}
        self.watches = {POD: itself, NODE: self._on_node}

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._pods.find(key)
        name = pod.spec.get("nodeName") if pod is not None else None
        if pod is None or not name:
            return None
        node = self._nodes.find(Key("", name))
        if node is not None:
            self._missed_since_s.pop(name, None)
            if pod.meta.deleting and out_of_service(node):
                await self._remove(pod)
            return None
        since_s = self._missed_since_s.setdefault(name, self._clock.monotonic_s())
        left_s = since_s + PATIENCE_S - self._clock.monotonic_s()
        if left_s > 0:
            return Again(left_s)
        await self._remove(pod, _LOST)
        return None

    def _on_node(self, event: Event) -> Iterable[Key]:
        changed = event.type != "MODIFIED" or out_of_service(event.entry.object())
        return self._pods.keys_by("node", event.entry.key.name) if changed else ()

    async def _remove(self, pod: Object, why: Json | None = None) -> None:
        if not pods.ended(pod):
            await self._fail(pod, why)
        await delete_same(self._writer, pod, Deletion(grace_s=0))

    async def _fail(self, pod: Object, why: Json | None) -> None:
        now = rfc3339(self._clock.now_s())

        def failed(present: Object) -> Object:
            conditions = present.status.get("conditions")
            if why is not None:
                new = {**why, "observedGeneration": present.meta.generation}
                conditions = with_condition(conditions, new, now)
            return present.with_status(phase="Failed", conditions=conditions)

        try:
            await self._writer.change(pod.key, failed, part="status")
        except NotFound:
            return
