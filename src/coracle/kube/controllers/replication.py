"""Keep as many pods as each ReplicaSet and each ReplicationController asks for.

Decide: plan(), pure.  Act: Replication.reconcile(), which sorts out whose pods are whose, makes and removes the
difference and tells the status.  Needs no memory of what it just did: the Loop shows it its own writes before calling
it again.

Source: Kubernetes documentation, "ReplicaSet", "ReplicationController"; their Events and status fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coracle.core.clock import rfc3339
from coracle.core.errors import CloudError
from coracle.core.informer import Index
from coracle.core.kind import Kind
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Object
from coracle.core.selectors import Selector, from_label_selector, matches
from coracle.kube.controllers.availability import available_in_s, next_available_s
from coracle.kube.controllers.batches import for_each, slow_start
from coracle.kube.controllers.means import Means
from coracle.kube.controllers.ownership import OF_OWNERS, OF_PODS, Terms, claimed, concerned, selector_of
from coracle.kube.controllers.ranking import doomed_first
from coracle.kube.controllers.templates import new_pod
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import replicaset, replicationcontroller, workloads
from coracle.kube.kinds.conditions import with_condition
from coracle.kube.kinds.words import said

POD = pods.KIND.type
FAILURE = "ReplicaFailure"
BURST = 500  # most pods made or removed in one pass, as in Kubernetes


@dataclass(frozen=True, slots=True)
class Sort:
    """What one of the two kinds has of its own.  `tells_terminating`: its status counts the pods on their way out."""

    kind: Kind
    selector: Callable[[Object], Selector]
    tells_terminating: bool = False


CONTROLLERS = Sort(
    replicationcontroller.KIND, lambda rc: from_label_selector({"matchLabels": rc.spec.get("selector") or {}})
)
SETS = Sort(replicaset.KIND, selector_of, tells_terminating=True)

INDEXES: Mapping[str, Mapping[str, Index]] = {
    POD: OF_PODS,
    CONTROLLERS.kind.type: OF_OWNERS,
    SETS.kind.type: OF_OWNERS,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many pods to make and which to remove.  At least one of the two is empty."""

    make: int = 0
    remove: tuple[Key, ...] = ()


class Failure(NamedTuple):
    """What kept pods from being made or removed."""

    reason: str
    error: CloudError


def plan(owner: Object, owned: Sequence[Object], now_s: float, near: Sequence[Object] = ()) -> Plan:
    """The difference between asked and present; those that are missed least go first.

    `near`: pods of its siblings (the other versions of a Deployment), beside which its own are in a crowd.
    """
    alive = [pod for pod in owned if pods.active(pod)]
    missing = int(owner.spec["replicas"]) - len(alive)
    if owner.meta.deleting:
        return Plan()
    if missing >= 0:
        return Plan(make=min(missing, BURST))
    return Plan(remove=tuple(pod.key for pod in doomed_first(alive, [*alive, *near], now_s)[: min(-missing, BURST)]))


def count(owner: Object, owned: Sequence[Object], now_s: float) -> Json:
    """The numbers of the status, without those that are zero (but `replicas`)."""
    alive = [pod for pod in owned if pods.active(pod)]
    labels, wait_s = workloads.template_labels(owner), owner.spec.get("minReadySeconds") or 0
    ready = [pod for pod in alive if pods.ready(pod)]
    numbers = {
        "fullyLabeledReplicas": sum(1 for pod in alive if matches(labels, pod.meta.labels)),
        "readyReplicas": len(ready),
        "availableReplicas": sum(1 for pod in ready if available_in_s(pod, wait_s, now_s) <= 0),
    }
    told = {name: number for name, number in numbers.items() if number}
    return {"replicas": len(alive), **told, "observedGeneration": owner.meta.generation}


class Replication:
    """One of the two kinds: `sort` says which."""

    def __init__(self, sort: Sort, means: Means) -> None:
        self.name = sort.kind.plural
        self._sort, self._means = sort, means
        self._owners, self._pods = means.caches[sort.kind.type], means.caches[POD]
        self.watches = {sort.kind.type: itself, POD: concerned(self._owners, sort.selector)}

    async def reconcile(self, key: Key) -> Again | None:
        owner = self._owners.find(key)
        if owner is None:
            return None  # deleted: its pods go with it, by their owner
        terms = Terms(self._sort.selector(owner), living=True, adopts=pods.active)
        owned = await claimed(owner, self._pods, self._means.writers[POD], terms)
        now_s = self._means.clock.now_s()
        near = self._near(owner) if len(owned) > owner.spec["replicas"] else []
        failure = await self._act(owner, plan(owner, owned, now_s, near))
        await self._tell(owner, self._count(owner, owned, now_s), failure)
        if failure is not None:
            raise failure.error
        wait_s = next_available_s(owned, owner.spec.get("minReadySeconds") or 0, now_s)
        return Again(wait_s) if wait_s else None

    def _near(self, owner: Object) -> list[Object]:
        """The pods of its siblings."""
        above = owner.meta.controller
        if above is None:
            return []
        siblings = [one for one in self._owners.owned_by(above.uid) if one.meta.uid != owner.meta.uid]
        return [pod for one in siblings for pod in self._pods.by("living", one.meta.uid)]

    def _count(self, owner: Object, owned: Sequence[Object], now_s: float) -> Json:
        numbers = count(owner, owned, now_s)
        if self._sort.tells_terminating:
            numbers["terminatingReplicas"] = sum(1 for pod in owned if pod.meta.deleting and not pods.ended(pod))
        return numbers

    async def _act(self, owner: Object, todo: Plan) -> Failure | None:
        """Returns the first failure."""
        wanted = [new_pod(owner) for _ in range(todo.make)]
        failures = await slow_start(wanted, lambda pod: self._means.make_pod(owner, pod))
        failures += await for_each(todo.remove, lambda doomed: self._means.remove_pod(owner, doomed))
        return Failure("FailedCreate" if todo.make else "FailedDelete", failures[0]) if failures else None

    async def _tell(self, owner: Object, numbers: Json, failure: Failure | None) -> None:
        now = rfc3339(self._means.clock.now_s())

        def status(present: Object) -> Object:
            told = conditions(present.status.get("conditions") or [], failure, now)
            return present.with_body(status={**numbers, **({"conditions": told} if told else {})})

        await self._means.tell(owner, status)


def conditions(present: list[Json], failure: Failure | None, now: str) -> list[Json]:
    """The first failure is told until there is none."""
    if failure is None:
        return [entry for entry in present if entry.get("type") != FAILURE]
    if any(entry.get("type") == FAILURE for entry in present):
        return present
    entry = {"type": FAILURE, "status": "True", "reason": failure.reason, "message": said(failure.error)}
    return with_condition(present, entry, now)
