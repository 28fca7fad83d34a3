"""The conditions of a pod: what kubectl waits for.  Pure.

Ours are PodReadyToStartContainers, Initialized, ContainersReady and Ready; PodScheduled is set once it is scheduled;
others' conditions (readiness gates, DisruptionTarget) are kept.  lastTransitionTime moves only with the status.

Source: Kubernetes documentation, "Pod Lifecycle", "Pod conditions"; kubelet's status/generate.go.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from coracle.core.object import Json, Object
from coracle.kube.kubelet import rounds
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.policy import sidecar
from coracle.kube.kubelet.records import init_containers_of
from coracle.kube.kubelet.resizing import IN_PROGRESS, PENDING

_ORDER = (
    PENDING, IN_PROGRESS, "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
    rounds.CONDITION,
)  # fmt: skip


def conditions(pod: Object, said: Mapping[str, Json], now: str) -> list[Json]:
    """`said` (type -> status, reason, message) merged with what the pod has; `now` RFC 3339."""
    had = {one["type"]: one for one in pod.status.get("conditions") or ()}
    others = [one for type, one in had.items() if type not in said and type not in (PENDING, IN_PROGRESS)]
    ours = [_condition(type, said[type], had.get(type), pod.meta.generation, now) for type in _ORDER if type in said]
    return [*others, *ours]


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


def verdicts(
    pod: Object,
    phase: str,
    statuses: Mapping[str, Sequence[Json]],
    *,
    sandbox: bool,
    notes: Notes,
) -> dict[str, Json]:
    """What the kubelet says of the pod now.  `statuses`: "init" and "main", the container statuses."""
    beside = {one["name"] for one in init_containers_of(pod) if sidecar(one)}
    sidecars = [one for one in statuses["init"] if one["name"] in beside]
    containers = _containers_ready(phase, [*sidecars, *statuses["main"]])
    return {
        "PodReadyToStartContainers": {"status": "True" if sandbox else "False"},
        "Initialized": _initialized(phase, statuses["init"], beside),
        "Ready": _ready(pod, containers),
        "ContainersReady": containers,
        "PodScheduled": {"status": "True"},
        **_resizing(notes),
    }


def _resizing(notes: Notes) -> dict[str, Json]:
    if notes.postponed is not None:
        why = notes.postponed
        return {PENDING: {"status": "True", "reason": why.reason, "message": why.message}}
    failed = {"reason": "Error", "message": notes.resize_error} if notes.resize_error else {}
    return {IN_PROGRESS: {"status": "True", **failed}} if notes.resizing else {}


def _initialized(phase: str, statuses: Sequence[Json], sidecars: Container[str]) -> Json:
    missing = [one["name"] for one in statuses if not one["started" if one["name"] in sidecars else "ready"]]
    if phase == "Succeeded" or not missing:
        return {"status": "True", **({"reason": "PodCompleted"} if phase == "Succeeded" else {})}
    said = f"containers with incomplete status: [{' '.join(missing)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": said}


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
    said = "; ".join(_closed(type, had.get(type)) for type in closed)
    return {"status": "False", "reason": "ReadinessGatesNotReady", "message": said}


def _closed(gate: str, had: str | None) -> str:
    if had is None:
        return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    return f'the status of pod readiness gate "{gate}" is not "True", but {had}'
