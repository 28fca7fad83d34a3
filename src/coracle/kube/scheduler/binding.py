"""Give every pod without a node the best one, or say why there is none.

Decide: choice.choose(), pure.  Act: Binding.reconcile().  A pod that fits nowhere is looked at again when a node or the
room on one changes.

Source: Kubernetes v1 API, Binding; condition PodScheduled; Events Scheduled and FailedScheduling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import Invalid, NotFound
from coracle.core.informer import Index, Informer
from coracle.core.object import Json, Key, Object
from coracle.core.sameness import change_same
from coracle.core.store import Event
from coracle.kube.kinds import namespace as namespaces
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import with_condition
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.scheduler import storage
from coracle.kube.scheduler.choice import Choice, choose, refuse
from coracle.kube.scheduler.evictions import Preemption
from coracle.kube.scheduler.state import State
from coracle.kube.scheduler.storage import Storage

POD, NODE = pods.KIND.type, nodes.KIND.type
OURS = "default-scheduler"
WAITING = "waiting"
NEIGHBOURLY = "neighbourly"  # waiting, and not indifferent to which other pods are where


def _waiting(pod: Object) -> Iterable[str]:
    if not wants_node(pod):
        return ()
    affinity = pod.spec.get("affinity") or {}
    minds = pod.spec.get("topologySpreadConstraints") or affinity.get("podAffinity") or affinity.get("podAntiAffinity")
    return (WAITING, NEIGHBOURLY) if minds else (WAITING,)


def wants_node(pod: Object) -> bool:
    """No node yet, ours to find one, and still worth it."""
    asked = pod.spec.get("schedulerName", OURS) == OURS
    return asked and not pod.spec.get("nodeName") and pods.active(pod)


INDEXES: Mapping[str, Mapping[str, Index]] = {
    **storage.INDEXES,
    POD: {"unscheduled": _waiting, **storage.INDEXES[POD]},
}


class Binding:
    name = "scheduler"

    def __init__(
        self,
        caches: Mapping[str, Informer],
        writer: Collection,
        claims: Collection,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._pods, self._writer, self._storage = caches[POD], writer, Storage(caches, claims)
        self._recorder, self._clock = recorder, clock
        self._preemption = Preemption(caches, writer, recorder, clock)
        self._rooms = caches[namespaces.KIND.type]
        self._state = State(self._labels_of)
        caches[NODE].listen(self._state.see_node)
        caches[POD].listen(self._state.see_pod)
        self._rooms.listen(self._state.see_room)
        others = {NODE: self._all_waiting, namespaces.KIND.type: self._in_new_light}
        self.watches = {POD: self._to_place, **others, **self._storage.watches}

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.find(key)
        if pod is None or not wants_node(pod):
            return
        if pod.spec.get("schedulingGates"):
            await self._refuse(pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
            return
        needs = self._storage.needs(pod)
        wanted = replace(self._state.facts(pod), alone=needs.alone)
        nodes = self._state.before(wanted)
        choice = choose(wanted, nodes, needs.repels)
        if needs.refusal and nodes:
            choice = Choice(refusal=refuse(needs.refusal, len(nodes)))
        if choice.node and needs.open:
            await self._storage.choose(needs, choice.node)  # the volumes, once they are bound, bring the pod back
        elif choice.node:
            self._state.assume(wanted, choice.node)  # others are choosing while this is being written
            await self._bind(pod, choice.node)
        else:
            made = await self._preemption.attempt(pod, wanted, nodes, choice)
            self._recorder.emit(pod, "Warning", "FailedScheduling", made.said)
            await self._refuse(pod, "Unschedulable", made.said, made.node)

    def _labels_of(self, room: str) -> Mapping[str, str]:
        entry = self._rooms.entry(Key("", room))
        return entry.labels if entry is not None else {}

    # -- who is concerned ----------------------------------------------------------------------------------------

    def _to_place(self, event: Event) -> Iterable[Key]:
        """A pod without a node; and by what becomes of those with one, others that wait."""
        if event.type != "DELETED" and (event.before is None or b'"nodeName"' not in event.entry.raw):
            return (event.entry.key,) if _is_news(event) else ()
        waiting = self._all_waiting(event)
        if not waiting or event.type == "DELETED" or event.before is None:
            return waiting
        new, old = event.entry.object(), event.before.object()
        was_placed = old.spec.get("nodeName")
        if pods.ended(new) or (was_placed and new.spec != old.spec):
            return waiting  # it gives room back
        moved = not was_placed or new.meta.labels != old.meta.labels or new.meta.deleting != old.meta.deleting
        return self._turns(NEIGHBOURLY) if moved else ()

    def _in_new_light(self, event: Event) -> Sequence[Key]:
        """By a namespace's labels: who is whose neighbour."""
        if event.before is None or event.before.labels == event.entry.labels:
            return ()
        return self._turns(NEIGHBOURLY)

    def _all_waiting(self, _event: Event) -> Sequence[Key]:
        return self._turns(WAITING)

    def _turns(self, which: str) -> Sequence[Key]:
        return self._state.in_turn(self._pods.keys_by("unscheduled", which))

    # -- acting --------------------------------------------------------------------------------------------------

    async def _bind(self, pod: Object, node: str) -> None:
        told: Json = {"status": "True", "lastProbeTime": None}
        condition = {"type": "PodScheduled", "observedGeneration": pod.meta.generation, **told}
        bound = False
        try:
            await self._writer.change(
                pod.key, lambda present: self._placed(pod, present, node, condition), part="binding"
            )
            bound = True
        except NotFound:
            return  # gone, or placed by somebody else
        except Invalid as error:
            said = f"binding rejected: {error}"
            self._recorder.emit(pod, "Warning", "FailedScheduling", said)
            await self._refuse(pod, "SchedulerError", said)
            return
        finally:
            if not bound:
                self._state.forget(pod.key)
        said = f"Successfully assigned {pod.meta.namespace}/{pod.meta.name} to {node}"
        self._recorder.emit(pod, "Normal", "Scheduled", said)

    def _placed(self, pod: Object, present: Object, node: str, condition: Json) -> Object:
        if present.meta.uid != pod.meta.uid or not wants_node(present):
            raise NotFound(kind=POD, name=pod.meta.name)
        now = rfc3339(self._clock.now_s())
        conditions = with_condition(present.status.get("conditions"), condition, now)
        status = {name: value for name, value in present.status.items() if name != "nominatedNodeName"}
        return present.with_spec(nodeName=node).with_body(status={**status, "conditions": conditions})

    async def _refuse(self, pod: Object, reason: str, message: str, nominated: str = "") -> None:
        now = rfc3339(self._clock.now_s())
        told = {"status": "False", "lastProbeTime": None, "reason": reason, "message": message}
        condition = {"type": "PodScheduled", "observedGeneration": pod.meta.generation, **told}

        def refused(present: Object) -> Object:
            if not wants_node(present):
                return present
            conditions = with_condition(present.status.get("conditions"), condition, now)
            status = {name: value for name, value in present.status.items() if name != "nominatedNodeName"}
            promised = {"nominatedNodeName": nominated} if nominated else {}
            return present.with_body(status={**status, **promised, "conditions": conditions})

        await change_same(self._writer, pod, refused, "status")


def _is_news(event: Event) -> bool:
    """Whether something else than what the scheduler itself said of the pod has changed."""
    if event.before is None:
        return True
    new, old = event.entry.object(), event.before.object()
    return new.spec != old.spec or new.meta.labels != old.meta.labels or new.meta.deleting != old.meta.deleting
