"""What is accepted in a pod or a template and is hardly meant so: told to the client, which goes on.  Pure.

Source: Kubernetes API, "Warnings"; the messages of its pod warnings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from coracle.core.object import Json, Object
from coracle.core.quantity import parse

_NO_SELECTOR = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage")


def warnings(new: Object, old: Object | None = None) -> list[str]:
    """Of a pod, or of the template of whatever makes pods; of a template that stays as it was, nothing."""
    at, spec = _pod_spec(new)
    if not spec or (old is not None and _pod_spec(old)[1] == spec):
        return []
    return [
        *_no_selectors(at, spec),
        *_repeated(f"{at}.hostAliases", spec.get("hostAliases") or (), "ip"),
        *_repeated(f"{at}.imagePullSecrets", spec.get("imagePullSecrets") or (), "name"),
        *(said for where, container in _containers(at, spec) for said in _of_container(where, container)),
        *_ports(at, spec),
    ]


def _pod_spec(obj: Object) -> tuple[str, Mapping[str, Any]]:
    """Where the spec of the pods is, and what it says; empty where the object makes no pods."""
    if obj.type == "Pod":
        return "spec", obj.spec
    if obj.type == "PodTemplate":
        return "template.spec", (obj.body.get("template") or {}).get("spec") or {}
    at, owner = "spec.template.spec", obj.spec
    if owner.get("jobTemplate"):
        at, owner = "spec.jobTemplate.spec.template.spec", owner["jobTemplate"].get("spec") or {}
    template = owner.get("template")
    return at, (template.get("spec") or {}) if isinstance(template, Mapping) else {}


def _containers(at: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    for which in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(which) or ()):
            yield f"{at}.{which}[{index}]", container


def _no_selectors(at: str, spec: Mapping[str, Any]) -> Iterator[str]:
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if constraint.get("labelSelector") is None:
            yield f"{at}.topologySpreadConstraints[{index}].labelSelector: {_NO_SELECTOR}"
    for name in ("podAffinity", "podAntiAffinity"):
        affinity = (spec.get("affinity") or {}).get(name) or {}
        for index, term in enumerate(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()):
            if term.get("labelSelector") is None:
                where = f"{at}.affinity.{name}.requiredDuringSchedulingIgnoredDuringExecution[{index}]"
                yield f"{where}.labelSelector: {_NO_SELECTOR}"


def _repeated(at: str, given: Sequence[Json], key: str) -> Iterator[str]:
    seen: set[Any] = set()
    for index, one in enumerate(given):
        if one.get(key) in seen:
            yield f'{at}[{index}].{key}: duplicate {key} "{one.get(key)}"'
        seen.add(one.get(key))


def _of_container(at: str, container: Json) -> Iterator[str]:
    for which in ("limits", "requests"):
        amounts = (container.get("resources") or {}).get(which) or {}
        for name in _BYTES:
            if name in amounts and parse(amounts[name]).milli % 1000:
                where = f"{at}.resources.{which}[{name}]"
                yield f'{where}: fractional byte value "{amounts[name]}" is invalid, must be an integer'
    yield from _hidden_variables(f"{at}.env", container.get("env") or ())


def _hidden_variables(at: str, given: Sequence[Json]) -> Iterator[str]:
    """A variable may be said again where it builds on what it was: `PATH=$(PATH):/opt`."""
    seen: set[str] = set()
    for index, variable in enumerate(given):
        name, value = variable.get("name") or "", variable.get("value") or ""
        former = f"$({name})"
        builds_on = former in value and value != former and not variable.get("valueFrom")
        if name in seen and not builds_on:
            yield f'{at}[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(at: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """Of all containers together: they share one network."""
    seen: dict[tuple[Any, str], list[tuple[str, Json]]] = defaultdict(list)
    for container_at, container in _containers(at, spec):
        for index, port in enumerate(container.get("ports") or ()):
            where = f"{container_at}.ports[{index}]"
            others = seen[port.get("containerPort"), port.get("protocol") or "TCP"]
            yield from _overlaps(where, port, others)
            others.append((where, port))


def _overlaps(where: str, port: Json, others: Iterable[tuple[str, Json]]) -> Iterator[str]:
    ip, number = port.get("hostIP") or "", port.get("hostPort") or 0
    for other_at, other in others:
        other_ip, other_number = other.get("hostIP") or "", other.get("hostPort") or 0
        if (ip, number) == (other_ip, other_number):
            yield f"{where}: duplicate port definition with {other_at}"
        elif not number or not other_number:
            yield f"{where}: overlapping port definition with {other_at}"
        elif number == other_number and bool(ip) != bool(other_ip):
            yield f"{where}: dangerously ambiguous port definition with {other_at}"
