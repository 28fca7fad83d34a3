"""Notice nodes that stop answering, and taint nodes as their conditions say.

A node answers by renewing its lease, and may be silent for a quarter longer than the lease lasts.  What counts is when
*we* saw it renewed: after a pause of our own, every node has the whole patience again.

Source: Kubernetes documentation, "Nodes: Node controller", "Taint Nodes by Condition".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.informer import Informer
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Object
from coracle.core.store import Event
from coracle.kube.controllers import podgc
from coracle.kube.kinds import lease as leases
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import nodeconditions
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import condition, with_condition
from coracle.kube.kinds.recorder import EventRecorder

SPEAKER = "node-controller"
NODE, LEASE, POD = nodes.KIND.type, leases.KIND.type, pods.KIND.type
LEASES = "kube-node-lease"
LEASE_S, PATIENCE = 40, 1.25  # 50 s, as in Kubernetes; of a node that asks for another lease, in proportion
INDEXES = podgc.INDEXES
_TYPES = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def silent(node: Object, now: str) -> Object:
    """The node as nobody knows any more how it is."""
    conditions = [dict(one) for one in node.status.get("conditions") or ()]
    known = {one["type"] for one in conditions}
    for one in conditions:
        if one["type"] in _TYPES and one["status"] != "Unknown":
            one |= {"status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": now}
            one["message"] = "Kubelet stopped posting node status."
    never = {"status": "Unknown", "reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}
    times = {"lastHeartbeatTime": node.meta.created, "lastTransitionTime": now}
    return node.with_status(
        conditions=[*conditions, *({"type": name, **never, **times} for name in _TYPES if name not in known)]
    )


class NodeLife:
    name = "node-lifecycle"

    def __init__(
        self, caches: Mapping[str, Informer], writers: Mapping[str, Collection], recorder: EventRecorder, clock: Clock
    ) -> None:
        self._nodes, self._leases, self._pods = caches[NODE], caches[LEASE], caches[POD]
        self._writer, self._pod_writer = writers[NODE], writers[POD]
        self._recorder, self._clock = recorder, clock
        self._seen: dict[str, tuple[str, float]] = {}  # node -> the last sign of life, and when we saw it
        self._known: dict[str, Object] = {}
        self.watches = {NODE: itself, LEASE: _holder}

    async def reconcile(self, key: Key) -> Again | None:
        node = self._nodes.find(key)
        self._greet(key.name, node)
        if node is None:
            self._seen.pop(key.name, None)
            return None
        left_s = self._left_s(node)
        try:
            if left_s <= 0:
                node = await self._give_up(node)
            await self._taint(node)
        except NotFound:
            return None
        return Again(left_s) if left_s > 0 else None

    def _greet(self, name: str, node: Object | None) -> None:
        """Say that a node is new here, or gone; one that was made anew meanwhile is both."""
        before = self._known.get(name)
        if before is not None and (node is None or node.meta.uid != before.meta.uid):
            said = f"Node {name} event: Removing Node {name} from Controller"
            self._recorder.emit(self._known.pop(name), "Normal", "RemovingNode", said)
        if node is not None and name not in self._known:
            self._known[name] = node
            said = f"Node {name} event: Registered Node {name} in Controller"
            self._recorder.emit(node, "Normal", "RegisteredNode", said)

    def _left_s(self, node: Object) -> float:
        """For how long the node may stay silent."""
        lease = self._leases.find(Key(LEASES, node.meta.name))
        said = str(lease.spec.get("renewTime")) if lease is not None else ""
        patience_s = PATIENCE * ((lease.spec.get("leaseDurationSeconds") if lease is not None else None) or LEASE_S)
        beats = (str(one.get("lastHeartbeatTime")) for one in node.status.get("conditions") or () if _told(one))
        sign, now_s = f"{said} {max(beats, default='')}", self._clock.monotonic_s()
        if self._seen.get(node.meta.name, ("", 0.0))[0] != sign:
            self._seen[node.meta.name] = (sign, now_s)
        return self._seen[node.meta.name][1] + patience_s - now_s

    async def _give_up(self, node: Object) -> Object:
        now = rfc3339(self._clock.now_s())
        was_ready = nodes.ready(node)
        after = await self._writer.change(node.key, lambda one: silent(one, now), "status")
        if was_ready:
            said = f"Node {node.meta.name} status is now: NodeNotReady"
            self._recorder.emit(node, "Normal", "NodeNotReady", said)
        for pod in self._pods.by("node", node.meta.name):
            if pods.ready(pod):
                await self._unready(pod, now)
        return after

    async def _unready(self, pod: Object, now: str) -> None:
        def unready(present: Object) -> Object:
            said: Json = {**condition(present, "Ready"), "type": "Ready", "status": "False"}
            return present.with_status(conditions=with_condition(present.status.get("conditions"), said, now))

        try:
            await self._pod_writer.change(pod.key, unready, "status")
        except NotFound:
            return
        self._recorder.emit(pod, "Warning", "NodeNotReady", "Node is not ready")

    async def _taint(self, node: Object) -> None:
        now = rfc3339(self._clock.now_s())

        def tainted(present: Object) -> Object:
            wanted = nodeconditions.taints(present, now)
            if wanted == list(present.spec.get("taints") or ()):
                return present
            rest = {name: value for name, value in present.spec.items() if name != "taints"}
            return present.with_body(spec={**rest, **({"taints": wanted} if wanted else {})})

        await self._writer.change(node.key, tainted)


def _told(condition: Json) -> bool:
    return condition.get("status") != "Unknown" and bool(condition.get("lastHeartbeatTime"))


def _holder(event: Event) -> Iterable[Key]:
    return (Key("", event.entry.key.name),) if event.entry.key.namespace == LEASES else ()
