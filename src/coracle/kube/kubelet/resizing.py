"""Resizing pods in place: what a container has beside what its pod now asks for, and whether the node has room.  Pure.

    NotRequired        the container's limits are changed while it runs
    RestartContainer   it is ended, and started again with them
    Infeasible         the node could never give so much
    Deferred           the node cannot now, since other pods have it

Source: Kubernetes documentation, "Resize CPU and Memory Resources assigned to Containers"; KEP-1287.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from coracle.core.object import Object
from coracle.core.quantity import ZERO, parse
from coracle.kube.kinds.podspec.amounts import requests
from coracle.kube.kubelet.records import Attempt, Present, containers_of, init_containers_of
from coracle.kube.kubelet.resources import limits
from coracle.runtime.api import Resources

_FIELDS = {"cpu": ("cpu_quota_us", "cpu_shares"), "memory": ("memory_bytes",)}
PENDING = "PodResizePending"


@dataclass(frozen=True, slots=True)
class Resize:
    """Give the container of that id these limits; `restart`: by starting it anew."""

    id: str
    container: str
    resources: Resources
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """Why a resize is not carried out."""

    reason: str
    message: str


def resizes(pod: Object, present: Present) -> tuple[Resize, ...]:
    """What of the pod has other limits than it asks for."""
    found = []
    for container in [*init_containers_of(pod), *containers_of(pod)]:
        last = present.latest(container["name"])
        changed = different(container, last)
        if last is None or last.state != "running" or not changed:
            continue
        policies = {one["resourceName"]: one["restartPolicy"] for one in container.get("resizePolicy") or ()}
        restart = any(policies.get(name) == "RestartContainer" for name in changed)
        found.append(Resize(last.id, container["name"], limits(container), restart))
    return tuple(found)


def different(container: Mapping[str, Any], attempt: Attempt | None) -> list[str]:
    """ "cpu" and "memory", where an attempt has something else than its container asks for."""
    if attempt is None or not attempt.resources:
        return []
    wanted = asdict(limits(container))
    return [name for name, fields in _FIELDS.items() if any(attempt.resources.get(f) != wanted[f] for f in fields)]


def postponed(pod: Object, others: Iterable[Object], capacity: Mapping[str, str]) -> Postponed | None:
    """None: the node can give what `pod` asks for beside `others`.  `capacity`: as in Node.status.capacity."""
    asked = requests(pod.spec)
    for name in ("cpu", "memory"):
        if name in capacity and asked.get(name, ZERO) > parse(capacity[name]):
            said = f"Node didn't have enough capacity: {name}, requested: {asked[name]}, capacity: {capacity[name]}"
            return Postponed("Infeasible", said)
    there = list(others)
    for name in ("cpu", "memory"):
        used = sum((requests(other.spec).get(name, ZERO) for other in there), ZERO)
        if name in capacity and asked.get(name, ZERO) + used > parse(capacity[name]):
            said = f"Node didn't have enough resource: {name}, requested: {asked[name]}, used: {used}, "
            return Postponed("Deferred", said + f"capacity: {capacity[name]}")
    return None
