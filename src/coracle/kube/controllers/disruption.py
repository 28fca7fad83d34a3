"""Count, for every PodDisruptionBudget, how many of its pods may be taken away now.

Decide: plan(), pure.  Act: Budgets.reconcile().  An eviction takes from `disruptionsAllowed` and notes its pod in
`disruptedPods` in one write (kube/api/evictions.py); the note falls when the pod is on its way out, or stays after all.

Source: Kubernetes documentation, "Specifying a Disruption Budget for your Application".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.clock import Clock, from_rfc3339, rfc3339
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Object, Owner, type_of
from coracle.core.sameness import change_same
from coracle.core.selectors import selector_text
from coracle.core.store import Event
from coracle.kube.kinds import deployment, replicaset, replicationcontroller, statefulset
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import poddisruptionbudget as budgets
from coracle.kube.kinds.catalogue import kinds
from coracle.kube.kinds.conditions import with_condition
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.workloads import resolve

SPEAKER = "controllermanager"
POD, BUDGET = pods.KIND.type, budgets.KIND.type
DEPLOYMENT = deployment.KIND.type
SCALED = (DEPLOYMENT, replicaset.KIND.type, statefulset.KIND.type, replicationcontroller.KIND.type)
PATIENCE_S = 120.0  # for an evicted pod to be seen going
_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the "
    "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these "
    'pods please set ".spec.minAvailable" field of the PDB to an integer value.'
)


@dataclass(frozen=True, slots=True)
class Count:
    """What a budget's status says.  `fault`: why it cannot be counted."""

    expected: int = 0
    desired: int = 0
    healthy: int = 0
    fault: str = ""

    @property
    def allowed(self) -> int:
        return max(0, self.healthy - self.desired) if self.expected > 0 and not self.fault else 0


def by_scale(budget: Object) -> bool:
    """Whether it says how many of those that the pods' controllers want; else, how many of those that are there."""
    least, most = budget.spec.get("minAvailable"), budget.spec.get("maxUnavailable")
    return isinstance(least, str) if least is not None else most is not None


def plan(budget: Object, members: Sequence[Object], scales: Mapping[str, int], noted: Iterable[str]) -> Count:
    """`scales`: how many pods each controller of the members wants, by its uid; `noted`: the pods evicted just now."""
    gone = set(noted)
    healthy = sum(1 for pod in members if pods.ready(pod) and not pod.meta.deleting and pod.meta.name not in gone)
    least, most = budget.spec.get("minAvailable"), budget.spec.get("maxUnavailable")
    if not by_scale(budget):
        return Count(len(members), int(least or 0), healthy)
    expected = sum(scales.values())
    if least is not None:
        return Count(expected, resolve(least, expected, up=True), healthy)
    return Count(expected, max(0, expected - resolve(most, expected, up=True)), healthy)


def status(budget: Object, count: Count, noted: Mapping[str, str], now: str) -> Json:
    """The whole status; `noted`: the pods evicted just now and when.  What cannot be counted stays as it was."""
    word = "SyncFailed" if count.fault else "SufficientPods" if count.allowed else "InsufficientPods"
    said = {
        "type": "DisruptionAllowed",
        "status": "True" if count.allowed else "False",
        "reason": word,
        "message": count.fault,
        "observedGeneration": budget.meta.generation,
    }
    conditions = with_condition(budget.status.get("conditions"), said, now)
    if count.fault:
        return {**budget.status, "disruptionsAllowed": 0, "conditions": conditions}
    return {
        "observedGeneration": budget.meta.generation,
        **({"disruptedPods": dict(noted)} if noted else {}),
        "disruptionsAllowed": count.allowed,
        "currentHealthy": count.healthy,
        "desiredHealthy": count.desired,
        "expectedPods": count.expected,
        "conditions": conditions,
    }


class Budgets:
    name = "disruption"

    def __init__(
        self, caches: Mapping[str, Informer], writer: Collection, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._caches, self._budgets, self._pods = caches, caches[BUDGET], caches[POD]
        self._writer, self._recorder, self._clock = writer, recorder, clock
        self.watches = {BUDGET: itself, POD: self._covering, **dict.fromkeys(SCALED, self._all_near)}

    async def reconcile(self, key: Key) -> Again | None:
        budget = self._budgets.find(key)
        if budget is None:
            return None
        chosen = budgets.selector(budget)
        members = list(self._pods.list(key.namespace, chosen)) if chosen is not None else []
        now_s = self._clock.now_s()
        noted = self._noted(budget, members, now_s)
        count = self._count(budget, members, noted)
        self._say(budget, members, count)
        wanted = status(budget, count, noted, rfc3339(now_s))

        def told(present: Object) -> Object:
            moved = present.status.get("disruptedPods") != budget.status.get("disruptedPods")
            return present if moved else present.with_body(status=wanted)

        if await change_same(self._writer, budget, told, "status") is None:
            return None
        waits_s = [from_rfc3339(moment) + PATIENCE_S - now_s for moment in noted.values()]
        return Again(min(waits_s)) if waits_s else None

    def _say(self, budget: Object, members: Sequence[Object], count: Count) -> None:
        """What makes the count worth a look."""
        if not members:
            self._recorder.emit(budget, "Normal", "NoPods", "No matching pods found")
        if count.fault:
            said = f"Failed to calculate the number of expected pods: {count.fault}"
            self._recorder.emit(budget, "Warning", "CalculateExpectedPodCountFailed", said)
        elif by_scale(budget) and any(pod.meta.controller is None for pod in members):
            said = _UNMANAGED.format(selector=selector_text(budget.spec.get("selector")))
            self._recorder.emit(budget, "Warning", "UnmanagedPods", said)

    def _count(self, budget: Object, members: Sequence[Object], noted: Mapping[str, str]) -> Count:
        scales: dict[str, int] = {}
        for pod in members if by_scale(budget) else ():
            controller = pod.meta.controller
            if controller is None:
                continue
            top, replicas = self._scale(pod.meta.namespace, controller)
            if replicas is None:
                return Count(fault=f"{_resource(controller)} does not implement the scale subresource")
            scales[top] = replicas
        return plan(budget, members, scales, noted)

    def _scale(self, namespace: str, controller: Owner) -> tuple[str, int | None]:
        """The uid of whoever decides how many there are, and how many; None: it is not one that has a number."""
        type = type_of(controller.api, controller.kind)
        if type not in SCALED:
            return controller.uid, None
        owner = self._caches[type].find(Key(namespace, controller.name))
        if owner is None or owner.meta.uid != controller.uid:
            return controller.uid, 0
        above = owner.meta.controller
        if above is not None and type_of(above.api, above.kind) == DEPLOYMENT:
            return self._scale(namespace, above)
        return controller.uid, int(owner.spec.get("replicas", 1))

    def _noted(self, budget: Object, members: Iterable[Object], now_s: float) -> dict[str, str]:
        there = {pod.meta.name: pod for pod in members if not pod.meta.deleting}
        kept = {}
        for name, moment in (budget.status.get("disruptedPods") or {}).items():
            if name not in there:
                continue
            if from_rfc3339(moment) + PATIENCE_S > now_s:
                kept[name] = moment
            else:
                said = f"Pod was expected by PDB {budget.key} to be deleted but it wasn't"
                self._recorder.emit(there[name], "Warning", "NotDeleted", said)
        return kept

    # -- who is concerned ----------------------------------------------------------------------------------------

    def _covering(self, event: Event) -> Iterable[Key]:
        room = event.entry.key.namespace
        seen = [entry.labels for entry in (event.entry, event.before) if entry is not None]
        near = self._budgets.list(room)
        return [budget.key for budget in near if any(budgets.covers(budget, room, labels) for labels in seen)]

    def _all_near(self, event: Event) -> Iterable[Key]:
        return [entry.key for entry in self._budgets.entries(event.entry.key.namespace)]


def _resource(controller: Owner) -> str:
    """`daemonsets.apps`"""
    type = type_of(controller.api, controller.kind)
    return next((kind.resource for kind in kinds() if kind.type == type), controller.kind)
