"""Keep as many pods as each ReplicationController asks for.

Decide: plan(), pure.  Act: Replication.reconcile(), which sorts out whose pods are whose, makes and removes the
difference and tells the status.  Needs no memory of what it just did: the Loop shows it its own writes before calling
it again.

Source: Kubernetes documentation, "ReplicationController"; its Events and status fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import Clock, from_rfc3339, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import CloudError, NotFound
from coracle.core.informer import Index, Informer
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.selectors import matches
from coracle.core.store import Entry, Event
from coracle.kube.controllers.batches import slow_start
from coracle.kube.controllers.ownership import settle, sort_out
from coracle.kube.controllers.ranking import doomed_first
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import replicationcontroller as rcs
from coracle.kube.kinds.recorder import EventRecorder

BURST = 500  # most pods made or removed in one pass, as in Kubernetes


def _orphan(pod: Object) -> Iterable[str]:
    return () if pod.meta.controller else (pod.meta.namespace,)


INDEXES: Mapping[str, Mapping[str, Index]] = {
    pods.KIND.type: {"orphans": _orphan},
    rcs.KIND.type: {"namespace": lambda rc: (rc.meta.namespace,)},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many pods to make and which to remove.  At least one of the two is empty."""

    make: int = 0
    remove: tuple[Key, ...] = ()


def plan(rc: Object, owned: Sequence[Object], now_s: float) -> Plan:
    """The difference between asked and present; those that are missed least go first."""
    alive = [pod for pod in owned if pods.active(pod)]
    missing = int(rc.spec["replicas"]) - len(alive)
    if rc.meta.deleting:
        return Plan()
    if missing >= 0:
        return Plan(make=min(missing, BURST))
    return Plan(remove=tuple(pod.key for pod in doomed_first(alive, now_s)[: min(-missing, BURST)]))


def count(rc: Object, owned: Sequence[Object], now_s: float) -> Json:
    """The numbers of the status, without those that are zero (but `replicas`)."""
    alive = [pod for pod in owned if pods.active(pod)]
    labels = (rc.spec["template"].get("metadata") or {}).get("labels") or {}
    ready = [pod for pod in alive if pods.ready(pod)]
    numbers = {
        "fullyLabeledReplicas": sum(1 for pod in alive if matches(labels, pod.meta.labels)),
        "readyReplicas": len(ready),
        "availableReplicas": sum(1 for pod in ready if available_in_s(rc, pod, now_s) <= 0),
    }
    told = {name: number for name, number in numbers.items() if number}
    return {"replicas": len(alive), **told, "observedGeneration": rc.meta.generation}


def available_in_s(rc: Object, pod: Object, now_s: float) -> float:
    """How long until a ready pod has been ready for `minReadySeconds`."""
    wanted_s = rc.spec.get("minReadySeconds") or 0
    since = pods.condition(pod, "Ready").get("lastTransitionTime")
    return from_rfc3339(since) + wanted_s - now_s if wanted_s and since else 0


class Replication:
    name = "replication"

    def __init__(
        self,
        caches: Mapping[str, Informer],
        rc_writer: Collection,
        pod_writer: Collection,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._rcs, self._pods = caches[rcs.KIND.type], caches[pods.KIND.type]
        self._rc_writer, self._pod_writer = rc_writer, pod_writer
        self._recorder, self._clock = recorder, clock
        self.watches = {rcs.KIND.type: itself, pods.KIND.type: self._concerned}

    async def reconcile(self, key: Key) -> Again | None:
        rc = self._rcs.find(key)
        if rc is None:
            return None  # deleted: its pods go with it, by their owner
        claims = sort_out(
            rc,
            self._pods.owned_by(rc.meta.uid),
            self._pods.by("orphans", key.namespace),
            lambda pod: matches(rc.spec["selector"], pod.meta.labels),
        )
        owned = await settle(rc, claims, self._pod_writer)
        now_s = self._clock.now_s()
        failure = await self._act(rc, plan(rc, owned, now_s))
        await self._tell(rc, count(rc, owned, now_s), failure)
        if failure is not None:
            raise failure
        waits_s = [available_in_s(rc, pod, now_s) for pod in owned if pods.active(pod) and pods.ready(pod)]
        waits_s = [wait_s for wait_s in waits_s if wait_s > 0]
        return Again(min(waits_s)) if waits_s else None

    def _concerned(self, event: Event) -> Iterable[Key]:
        """The controllers that own the pod or owned it; for an orphan those that would like to."""
        keys = {key for entry in (event.entry, event.before) if entry is not None for key in _owners(entry)}
        entry = event.entry
        if event.type != "DELETED" and not entry.owner_uids:
            candidates = self._rcs.by("namespace", entry.key.namespace)
            keys |= {rc.key for rc in candidates if matches(rc.spec["selector"], entry.labels)}
        return keys

    async def _act(self, rc: Object, todo: Plan) -> CloudError | None:
        failure: CloudError | None = None
        if todo.make:
            _, failure = await slow_start(todo.make, lambda: self._make(rc))
            if failure is not None:
                self._recorder.emit(rc, "Warning", "FailedCreate", f"Error creating: {failure}")
        for doomed in todo.remove:
            try:
                await self._pod_writer.delete(doomed, Deletion())
            except NotFound:
                continue
            except CloudError as error:
                self._recorder.emit(rc, "Warning", "FailedDelete", f"Error deleting: {error}")
                failure = failure or error
            else:
                self._recorder.emit(rc, "Normal", "SuccessfulDelete", f"Deleted pod: {doomed.name}")
        return failure

    async def _make(self, rc: Object) -> None:
        made = await self._pod_writer.create(new_pod(rc))
        self._recorder.emit(rc, "Normal", "SuccessfulCreate", f"Created pod: {made.meta.name}")

    async def _tell(self, rc: Object, numbers: Json, failure: CloudError | None) -> None:
        now = rfc3339(self._clock.now_s())

        def told(present: Object) -> Object:
            if present.meta.uid != rc.meta.uid:
                return present
            conditions = _conditions(present.status.get("conditions") or [], failure, now)
            return present.with_body(status={**numbers, **({"conditions": conditions} if conditions else {})})

        try:
            await self._rc_writer.change(rc.key, told, part="status")
        except NotFound:
            return  # deleted meanwhile


def _owners(entry: Entry) -> Iterable[Key]:
    if not entry.owner_uids:
        return ()
    ref = entry.object().meta.controller
    return (Key(entry.key.namespace, ref.name),) if ref is not None and ref.kind == rcs.KIND.name else ()


def _conditions(present: list[Json], failure: CloudError | None, now: str) -> list[Json]:
    others = [entry for entry in present if entry["type"] != "ReplicaFailure"]
    if failure is None:
        return others
    said = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": str(failure)}
    return pods.with_condition(present, said, now)


def new_pod(rc: Object) -> Object:
    """A pod from the controller's template, under its owner's name and five random characters."""
    template: Mapping[str, Any] = rc.spec["template"]
    meta = template.get("metadata") or {}
    return Object(
        pods.KIND.name,
        Meta(
            generate_name=f"{rc.meta.name}-",
            namespace=rc.meta.namespace,
            labels=meta.get("labels") or {},
            annotations=meta.get("annotations") or {},
            finalizers=tuple(meta.get("finalizers") or ()),
            owners=(rc.as_owner(),),
        ),
        {"spec": template["spec"]},
    )
