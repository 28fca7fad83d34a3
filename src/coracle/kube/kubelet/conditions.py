"""The conditions of a pod: what kubectl waits for.  Pure.

Ours are PodReadyToStartContainers, Initialized, ContainersReady and Ready; PodScheduled is set once it is scheduled;
others' conditions (readiness gates, DisruptionTarget) are kept.  lastTransitionTime moves only with the status.

Source: Kubernetes documentation, "Pod Lifecycle", "Pod conditions"; kubelet's status/generate.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.object import Json, Object

_ORDER = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def conditions(pod: Object, said: Mapping[str, Json], now: str) -> list[Json]:
    """`said` (type -> status, reason, message) merged with what the pod has; `now` RFC 3339."""
    had = {one["type"]: one for one in pod.status.get("conditions") or ()}
    others = [one for type, one in had.items() if type not in said]
    ours = [_condition(type, said[type], had.get(type), pod.meta.generation, now) for type in _ORDER if type in said]
    return [*ours, *others]


def _condition(type: str, said: Json, had: Mapping[str, Any] | None, generation: int, now: str) -> Json:
    same = had is not None and had.get("status") == said["status"]
    since = had["lastTransitionTime"] if same and had is not None and had.get("lastTransitionTime") else now
    details = {name: said[name] for name in ("reason", "message") if said.get(name)}
    return {
        "type": type,
        "status": said["status"],
        "observedGeneration": generation,
        "lastProbeTime": None,
        "lastTransitionTime": since,
        **details,
    }


def verdicts(pod: Object, phase: str, statuses: Mapping[str, Sequence[Json]], *, sandbox: bool) -> dict[str, Json]:
    """What the kubelet says of the pod now.  `statuses`: "init" and "main", the container statuses."""
    containers = _containers_ready(phase, statuses["main"])
    return {
        "PodReadyToStartContainers": {"status": "True" if sandbox else "False"},
        "Initialized": _initialized(pod, phase, statuses["init"]),
        "Ready": _ready(pod, containers),
        "ContainersReady": containers,
        "PodScheduled": {"status": "True"},
    }


def _initialized(pod: Object, phase: str, statuses: Sequence[Json]) -> Json:
    missing = [one["name"] for one in statuses if not _init_done(one)]
    if phase == "Succeeded" or not missing:
        return {"status": "True", **({"reason": "PodCompleted"} if phase == "Succeeded" else {})}
    said = f"containers with incomplete status: [{' '.join(missing)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": said}


def _init_done(status: Json) -> bool:
    ended = status["state"].get("terminated")
    return bool(status.get("ready")) or (ended is not None and ended["exitCode"] == 0)


def _containers_ready(phase: str, statuses: Sequence[Json]) -> Json:
    if phase == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if phase == "Failed":
        return {"status": "False", "reason": "PodFailed"}
    unready = [one["name"] for one in statuses if not one["ready"]]
    if not unready:
        return {"status": "True"}
    said = f"containers with unready status: [{' '.join(unready)}]"
    return {"status": "False", "reason": "ContainersNotReady", "message": said}


def _ready(pod: Object, containers: Json) -> Json:
    if containers["status"] != "True":
        return containers
    had = {one["type"]: one["status"] for one in pod.status.get("conditions") or ()}
    closed = [gate["conditionType"] for gate in pod.spec.get("readinessGates") or ()]
    closed = [type for type in closed if had.get(type) != "True"]
    if not closed:
        return {"status": "True"}
    said = "; ".join(
        f'the status of pod readiness gate "{type}" is not "True", but {had.get(type, "")}' for type in closed
    )
    return {"status": "False", "reason": "ReadinessGatesNotReady", "message": said}
