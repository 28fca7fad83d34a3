"""What is to happen to a StatefulSet's pods next, and what its status says.

    OrderedReady   0, 1, 2, ... each after the one before is available; scaled away and updated from the highest down,
                   one at a time, and only while all are available
    Parallel       all at once; updated as far as maxUnavailable allows

Source: Kubernetes documentation, "StatefulSets: Deployment and Scaling Guarantees", "Update strategies".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.object import Json, Object
from coracle.kube.controllers.availability import available
from coracle.kube.controllers.history import HASH
from coracle.kube.controllers.stateful.identity import ordinals
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import workloads
from coracle.kube.kinds.statefulset import PARALLEL, ROLLING


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordinals to make pods for, and the pods to remove."""

    make: tuple[int, ...] = ()
    remove: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class Roster:
    """A StatefulSet, the names of its present and of its wanted revision, its pods by ordinal."""

    stateful: Object
    current: str
    update: str
    pods: Mapping[int, Object]
    now_s: float

    def healthy(self, pod: Object | None) -> bool:
        """Running, available and not on its way out."""
        return pod is not None and not pod.meta.deleting and self.available(pod)

    def available(self, pod: Object) -> bool:
        return _running_and_ready(pod) and available(pod, self.stateful.spec.get("minReadySeconds") or 0, self.now_s)

    @property
    def condemned(self) -> list[Object]:
        """The pods that are too many, the highest ordinal first."""
        kept = ordinals(self.stateful)
        return [self.pods[number] for number in sorted(self.pods, reverse=True) if number not in kept]

    @property
    def partition(self) -> int:
        """The first ordinal that a rolling update changes."""
        rolling = self.stateful.spec["updateStrategy"].get("rollingUpdate") or {}
        return ordinals(self.stateful).start + int(rolling.get("partition") or 0)

    def revision_of(self, number: int) -> str:
        """The revision that a new pod with this ordinal has."""
        rolls = self.stateful.spec["updateStrategy"]["type"] == ROLLING
        return self.current if rolls and number < self.partition else self.update


def _running_and_ready(pod: Object) -> bool:
    return pod.status.get("phase") == "Running" and pods.ready(pod)


def plan(roster: Roster) -> Plan:
    if roster.stateful.spec["podManagementPolicy"] == PARALLEL:
        return _all_at_once(roster)
    return _one_by_one(roster)


def _one_by_one(roster: Roster) -> Plan:
    for number in ordinals(roster.stateful):
        pod = roster.pods.get(number)
        if pod is None:
            return Plan(make=(number,))
        if pods.ended(pod) and not pod.meta.deleting:
            return Plan(remove=(pod,))
        if not roster.healthy(pod):
            return Plan()
    condemned = roster.condemned
    if not condemned:
        return Plan(remove=_to_update(roster))
    first = condemned[0]
    lowest_ill = next((pod for pod in reversed(condemned) if not roster.healthy(pod)), None)
    may_recover = not roster.healthy(first) and not pods.ended(first)
    waits = first.meta.deleting or (may_recover and first is not lowest_ill)
    return Plan() if waits else Plan(remove=(first,))


def _all_at_once(roster: Roster) -> Plan:
    make = [number for number in ordinals(roster.stateful) if number not in roster.pods]
    kept = [roster.pods[number] for number in ordinals(roster.stateful) if number in roster.pods]
    remove = [pod for pod in kept if pods.ended(pod) and not pod.meta.deleting]
    remove += [pod for pod in roster.condemned if not pod.meta.deleting]
    remove += [pod for pod in _to_update(roster) if pod not in remove]
    return Plan(tuple(make), tuple(remove))


def _to_update(roster: Roster) -> tuple[Object, ...]:
    """Pods of other revisions, from the highest ordinal down: those that are ill, then as many as may be missing."""
    strategy, total = roster.stateful.spec["updateStrategy"], roster.stateful.spec["replicas"]
    if strategy["type"] != ROLLING:
        return ()
    most = max(1, workloads.resolve(strategy["rollingUpdate"]["maxUnavailable"], total, up=False))
    kept = ordinals(roster.stateful)
    missing = sum(1 for number in kept if not roster.healthy(roster.pods.get(number)))
    old = [roster.pods[number] for number in reversed(kept) if number >= roster.partition and number in roster.pods]
    old = [pod for pod in old if not pod.meta.deleting and pod.meta.labels.get(HASH) != roster.update]
    ill = [pod for pod in old if not roster.healthy(pod)]
    well = [pod for pod in old if roster.healthy(pod)]
    return (*ill, *well[: max(0, most - missing)])


def status(roster: Roster, before: Mapping[str, Any]) -> Json:
    """Conditions, which others may set, stay as they were `before`."""
    present = list(roster.pods.values())
    staying = [pod for pod in present if not pod.meta.deleting]
    ready = [pod for pod in present if _running_and_ready(pod)]
    current = sum(1 for pod in staying if pod.meta.labels.get(HASH) == roster.current)
    updated = sum(1 for pod in staying if pod.meta.labels.get(HASH) == roster.update)
    revision = roster.current
    if roster.stateful.spec["updateStrategy"]["type"] == ROLLING and updated == len(ready) == len(present):
        revision, current = roster.update, updated  # the update is complete
    optional = {
        "readyReplicas": len(ready),
        "currentReplicas": current,
        "updatedReplicas": updated,
        "conditions": before.get("conditions"),
    }
    return {
        "replicas": len(present),
        "availableReplicas": sum(1 for pod in ready if roster.available(pod)),
        **{name: value for name, value in optional.items() if value},
        "currentRevision": revision,
        "updateRevision": roster.update,
        "collisionCount": before.get("collisionCount") or 0,
        "observedGeneration": roster.stateful.meta.generation,
    }
