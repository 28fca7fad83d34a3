"""Resizing pods in place: what a container has beside what its pod now asks for, and whether the node has room.  Pure.

    NotRequired        the container's limits are changed while it runs
    RestartContainer   it is ended, and started again with them
    Infeasible         the node could never give so much
    Deferred           the node cannot now, since other pods have it
    Error              it uses more than it is to have; tried again

Source: Kubernetes documentation, "Resize CPU and Memory Resources assigned to Containers", "Resize CPU and Memory
Resources assigned to Pods"; KEP-1287, KEP-5419.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from coracle.core.object import Object
from coracle.core.quantity import ZERO, Quantity, parse
from coracle.kube.kinds.podspec.amounts import requests
from coracle.kube.kubelet.records import Attempt, Present, containers_of, init_containers_of
from coracle.kube.kubelet.resources import group, limits
from coracle.runtime.api import Group, Resources

_FIELDS = {"cpu": ("cpu_quota_us", "cpu_shares"), "memory": ("memory_bytes",)}
PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Resize:
    """Give the container of that id these limits; `restart`: by starting it anew.  `had_bytes`: its limit of memory
    until now."""

    id: str
    container: str
    resources: Resources
    restart: bool = False
    had_bytes: int | None = None

    @property
    def less_memory(self) -> bool:
        """Whether it may use more now than then."""
        bytes = self.resources.memory_bytes
        return bytes is not None and (self.had_bytes is None or bytes < self.had_bytes)


@dataclass(frozen=True, slots=True)
class Regroup:
    """Give the running containers `ids` together what `after` says; while they change they have what `between` says."""

    ids: tuple[str, ...]
    between: Group
    after: Group


@dataclass(frozen=True, slots=True)
class Postponed:
    """Why a resize is not carried out."""

    reason: str
    message: str


def asked(pod: Object, present: Present) -> bool:
    """Whether the pod asks for other limits than it has."""
    return bool(resizes(pod, present)) or regroup(pod, present) is not None


def resizes(pod: Object, present: Present) -> tuple[Resize, ...]:
    """What of the pod has other limits than it asks for."""
    found = []
    for container, last in _running(pod, present):
        changed = different(pod, container, last)
        if changed:
            policies = {one["resourceName"]: one["restartPolicy"] for one in container.get("resizePolicy") or ()}
            restart = any(policies.get(name) == "RestartContainer" for name in changed)
            had_bytes = last.resources.get("memory_bytes")
            found.append(Resize(last.id, container["name"], limits(pod, container), restart, had_bytes))
    return tuple(found)


def regroup(pod: Object, present: Present) -> Regroup | None:
    """What the pod as a whole is given, where it asks for something else than it has."""
    wanted, there = group(pod), [last for _, last in _running(pod, present) if last.together]
    if wanted is None or not any(_differ(last.together, wanted.resources) for last in there):
        return None
    had = Resources(**{name: there[0].together[name] for names in _FIELDS.values() for name in names})
    return Regroup(tuple(last.id for last in there), replace(wanted, resources=_widest(had, wanted.resources)), wanted)


def different(pod: Object, container: Mapping[str, Any], attempt: Attempt | None) -> list[str]:
    """ "cpu" and "memory", where an attempt has something else than its container asks for."""
    if attempt is None or not attempt.resources:
        return []
    return _differ(attempt.resources, limits(pod, container))


def _running(pod: Object, present: Present) -> list[tuple[Mapping[str, Any], Attempt]]:
    pairs = [(one, present.latest(one["name"])) for one in [*init_containers_of(pod), *containers_of(pod)]]
    return [(one, last) for one, last in pairs if last is not None and last.state == "running"]


def _differ(has: Mapping[str, Any], wanted: Resources) -> list[str]:
    given = asdict(wanted)
    return [name for name, fields in _FIELDS.items() if any(has.get(field) != given[field] for field in fields)]


def _widest(one: Resources, other: Resources) -> Resources:
    """In which either fits; None is no limit."""

    memory_bytes = _larger(one.memory_bytes, other.memory_bytes)
    return replace(other, memory_bytes=memory_bytes, cpu_quota_us=_larger(one.cpu_quota_us, other.cpu_quota_us))


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def postponed(pod: Object, others: Iterable[Object], capacity: Mapping[str, str]) -> Postponed | None:
    """None: the node can give what `pod` asks for beside `others`.  `capacity`: as in Node.status.capacity."""
    wanted = requests(pod.spec)
    for name in ("cpu", "memory"):
        if name in capacity and wanted.get(name, ZERO) > parse(capacity[name]):
            asked, whole = _count(name, wanted[name]), _count(name, parse(capacity[name]))
            said = f"Node didn't have enough capacity: {name}, requested: {asked}, capacity: {whole}"
            return Postponed("Infeasible", said)
    there = list(others)
    for name in ("cpu", "memory"):
        used = sum((requests(other.spec).get(name, ZERO) for other in there), ZERO)
        if name in capacity and wanted.get(name, ZERO) + used > parse(capacity[name]):
            asked, taken, whole = (_count(name, one) for one in (wanted[name], used, parse(capacity[name])))
            said = f"Node didn't have enough resource: {name}, requested: {asked}, used: {taken}, capacity: {whole}"
            return Postponed("Deferred", said)
    return None


def _count(name: str, amount: Quantity) -> int:
    """As the kubelet says it: thousandths of processors, bytes."""
    return amount.milli if name == "cpu" else amount.whole
