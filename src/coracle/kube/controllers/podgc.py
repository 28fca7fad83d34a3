"""Remove pods of nodes that are gone: nobody is left to end them.

Source: Kubernetes documentation, "Pod Lifecycle: Garbage collection of Pods"; condition DisruptionTarget.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import Conflict, NotFound
from coracle.core.informer import Index, Informer
from coracle.core.loop import Again, itself
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import pod as pods

POD, NODE = pods.KIND.type, nodes.KIND.type
PATIENCE_S = 40.0  # a node that is registered anew keeps its pods


def _on(pod: Object) -> Iterable[str]:
    return (pod.spec["nodeName"],) if pod.spec.get("nodeName") else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {POD: {"node": _on}}


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
        if self._nodes.find(Key("", name)) is not None:
            self._missed_since_s.pop(name, None)
            return None
        since_s = self._missed_since_s.setdefault(name, self._clock.monotonic_s())
        left_s = since_s + PATIENCE_S - self._clock.monotonic_s()
        if left_s > 0:
            return Again(left_s)
        await self._remove(pod)
        return None

    def _on_node(self, event: Event) -> Iterable[Key]:
        return self._pods.keys_by("node", event.entry.key.name) if event.type != "MODIFIED" else ()

    async def _remove(self, pod: Object) -> None:
        if not pods.ended(pod):
            await self._fail(pod)
        try:
            await self._writer.delete(pod.key, Deletion(grace_s=0, uid=pod.meta.uid), missing_ok=True)
        except Conflict:
            return  # another pod by now

    async def _fail(self, pod: Object) -> None:
        now = rfc3339(self._clock.now_s())
        said = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
        }

        def failed(present: Object) -> Object:
            new = {**said, "observedGeneration": present.meta.generation}
            conditions = pods.with_condition(present.status.get("conditions"), new, now)
            return present.with_status(phase="Failed", conditions=conditions)

        try:
            await self._writer.change(pod.key, failed, part="status")
        except NotFound:
            return
