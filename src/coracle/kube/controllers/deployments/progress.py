"""What a Deployment's status says: counts, and the conditions Available, Progressing and ReplicaFailure.

Source: Kubernetes documentation, "Deployment status"; the reasons and messages of its conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from coracle.core.clock import from_rfc3339, rfc3339
from coracle.core.object import Json, Object
from coracle.kube.controllers.deployments.sizes import asked, told, unavailable
from coracle.kube.controllers.deployments.versions import UNLIMITED, Family
from coracle.kube.kinds.conditions import condition, condition_in

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
COMPLETE, TIMED_OUT, PAUSED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused"


class Said(NamedTuple):
    """What a condition says."""

    status: str
    reason: str
    message: str


def counts(found: Family) -> Json:
    """The numbers of the status, without those that are zero."""
    sets, new = found.all, [found.new] if found.new is not None else []
    available = told(sets, "availableReplicas")
    numbers = {
        "observedGeneration": found.deployment.meta.generation,
        "replicas": told(sets, "replicas"),
        "updatedReplicas": told(new, "replicas"),
        "readyReplicas": told(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked(sets) - available),
        "collisionCount": found.deployment.status.get("collisionCount", 0),
    }
    said = {name: number for name, number in numbers.items() if number}
    return {**said, "terminatingReplicas": told(sets, "terminatingReplicas")}


def complete(deployment: Object, numbers: Mapping[str, Any]) -> bool:
    """Every pod is of the present version and available."""
    wanted = deployment.spec["replicas"]
    return all(numbers.get(name, 0) == wanted for name in ("replicas", "updatedReplicas", "availableReplicas"))


def paused(deployment: Object, now_s: float) -> list[Json]:
    """The conditions after what pausing and resuming say."""
    conditions = list(deployment.status.get("conditions") or ())
    reason, is_paused = condition_in(conditions, PROGRESSING).get("reason"), bool(deployment.spec.get("paused"))
    if deadline_s(deployment) is None or reason == TIMED_OUT or is_paused == (reason == PAUSED):
        return conditions
    words = (PAUSED, "Deployment is paused") if is_paused else ("DeploymentResumed", "Deployment is resumed")
    return with_condition(conditions, PROGRESSING, Said("Unknown", *words), now_s)


def available(found: Family, numbers: Mapping[str, Any], conditions: list[Json], now_s: float) -> list[Json]:
    fewest = found.deployment.spec["replicas"] - unavailable(found.deployment)
    if numbers.get("availableReplicas", 0) >= fewest:
        said = Said("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        said = Said("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return with_condition(conditions, AVAILABLE, said, now_s)


def progressing(found: Family, numbers: Mapping[str, Any], conditions: list[Json], now_s: float) -> list[Json]:
    """`conditions` with what the numbers say of a rollout that is under way."""
    limit_s = deadline_s(found.deployment)
    if limit_s is None:
        return [entry for entry in conditions if entry.get("type") != PROGRESSING]
    present = condition_in(conditions, PROGRESSING)
    if numbers.get("replicas", 0) == numbers.get("updatedReplicas", 0) and present.get("reason") == COMPLETE:
        return conditions
    name = f'ReplicaSet "{found.new.meta.name}"' if found.new else f'Deployment "{found.deployment.meta.name}"'
    if complete(found.deployment, numbers):
        said = Said("True", COMPLETE, f"{name} has successfully progressed.")
        return with_condition(conditions, PROGRESSING, said, now_s)
    if _moved(found.deployment.status, numbers):
        others = [entry for entry in conditions if entry.get("type") != PROGRESSING]
        since = present.get("lastTransitionTime") if present.get("status") == "True" else None
        said = Said("True", "ReplicaSetUpdated", f"{name} is progressing.")
        return with_condition(others, PROGRESSING, said, now_s, since)
    if _is_late(present, limit_s, now_s):
        said = Said("False", TIMED_OUT, f"{name} has timed out progressing.")
        return with_condition(conditions, PROGRESSING, said, now_s)
    return conditions


def _moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether there are more pods of the present version, more ready or available ones, or fewer old ones."""

    def old(numbers: Mapping[str, Any]) -> int:
        return int(numbers.get("replicas", 0) - numbers.get("updatedReplicas", 0))

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old(after) < old(before) or any(after.get(name, 0) > before.get(name, 0) for name in more)


def _is_late(present: Mapping[str, Any], limit_s: int, now_s: float) -> bool:
    if not present or present.get("reason") == COMPLETE:
        return False
    return present.get("reason") == TIMED_OUT or from_rfc3339(present["lastUpdateTime"]) + limit_s < now_s


def failing(sets: Iterable[Object], new: Object | None, conditions: list[Json]) -> list[Json]:
    """`conditions` with the failure of a ReplicaSet to make pods, the present version's before others'."""
    ordered = sorted(sets, key=lambda rs: rs is not new)
    found = (condition(rs, FAILURE) for rs in ordered)
    failure = next((entry for entry in found if entry), None)
    others = [entry for entry in conditions if entry.get("type") != FAILURE]
    if failure is None:
        return others
    moment = failure.get("lastTransitionTime")
    return [*others, {**failure, "lastUpdateTime": moment, "lastTransitionTime": moment}]


def left_s(deployment: Object, numbers: Mapping[str, Any], conditions: list[Json], now_s: float) -> float | None:
    """How long a rollout still has until its deadline; None where there is nothing to wait for."""
    limit_s, present = deadline_s(deployment), condition_in(conditions, PROGRESSING)
    settled = present.get("reason") in (None, COMPLETE, TIMED_OUT, PAUSED)
    if limit_s is None or settled or complete(deployment, numbers):
        return None
    return max(0.0, from_rfc3339(present["lastUpdateTime"]) + limit_s - now_s)


def deadline_s(deployment: Object) -> int | None:
    limit_s: int = deployment.spec["progressDeadlineSeconds"]
    return None if limit_s == UNLIMITED else limit_s


def with_condition(conditions: list[Json], type: str, said: Said, now_s: float, since: str | None = None) -> list[Json]:
    """Nothing changes where status and reason are the same; `lastTransitionTime` moves with the status."""
    present, now = condition_in(conditions, type), rfc3339(now_s)
    if (present.get("status"), present.get("reason")) == said[:2]:
        return conditions
    if since is None:
        since = present["lastTransitionTime"] if present.get("status") == said.status else now
    entry = {
        "type": type,
        "status": said.status,
        "lastUpdateTime": now,
        "lastTransitionTime": since,
        "reason": said.reason,
        "message": said.message,
    }
    return [*(other for other in conditions if other.get("type") != type), entry]
