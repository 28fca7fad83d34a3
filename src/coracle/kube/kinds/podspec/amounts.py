"""What a pod asks for, added up: effective requests and limits, and the quality-of-service class.

What a pod says of itself as a whole (`spec.resources`) comes before the sum of its containers.

Source: Kubernetes documentation, "Resource Management for Pods and Containers", "Init containers: Resource sharing",
"Sidecar containers", "Pod Quality of Service Classes", "Assign Pod-level CPU and memory resources".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from coracle.core.quantity import ZERO, Quantity, parse_all

Amounts = dict[str, Quantity]
QosClass = Literal["Guaranteed", "Burstable", "BestEffort"]


def requests(spec: Mapping[str, Any]) -> Amounts:
    """What the scheduler sets aside: containers together or the largest init container, and the overhead."""
    return _total(spec, "requests")


def limits(spec: Mapping[str, Any]) -> Amounts:
    return _total(spec, "limits")


def of_containers(spec: Mapping[str, Any], which: str) -> Amounts:
    """`requests` or `limits` of the containers together."""
    running = _sum(_of(container, which) for container in spec.get("containers") or ())
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = _of(container, which)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum((sidecars, asked))
            asked = sidecars
        else:
            asked = _sum((sidecars, asked))
        starting = _largest(starting, asked)
    return _largest(_sum((running, sidecars)), starting)


def _total(spec: Mapping[str, Any], which: str) -> Amounts:
    return _sum(({**of_containers(spec, which), **_of(spec, which)}, parse_all(spec.get("overhead"))))


def qos_class(spec: Mapping[str, Any]) -> QosClass:
    """Guaranteed: every container has cpu and memory limits equal to its requests; BestEffort: none has any.

    A pod that says something of itself as a whole is judged by that alone.
    """
    containers: list[Any] = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    judged = [spec] if has_own(spec) else containers
    asked = [(_compute(one, "requests"), _compute(one, "limits")) for one in judged]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    equal = all(len(limits) == 2 and requests == limits for requests, limits in asked)
    return "Guaranteed" if equal else "Burstable"


def has_own(spec: Mapping[str, Any]) -> bool:
    """Whether the pod as a whole asks for something, or is limited."""
    own = spec.get("resources") or {}
    return bool(own.get("requests") or own.get("limits"))


def _compute(one: Mapping[str, Any], which: str) -> Amounts:
    return {name: amount for name, amount in _of(one, which).items() if name in ("cpu", "memory") and amount}


def _of(one: Mapping[str, Any], which: str) -> Amounts:
    """Of a container, or of a pod as a whole."""
    return parse_all((one.get("resources") or {}).get(which))


def _sum(many: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for amounts in many:
        for name, amount in amounts.items():
            total[name] = total.get(name, ZERO) + amount
    return total


def _largest(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, ZERO), other.get(name, ZERO)) for name in {**one, **other}}
