"""What a pod asks for, added up: effective requests and limits, and the quality-of-service class.

Source: Kubernetes documentation, "Resource Management for Pods and Containers", "Init containers: Resource sharing",
"Sidecar containers", "Pod Quality of Service Classes".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from coracle.core.object import Json
from coracle.core.quantity import ZERO, Quantity, parse

Amounts = dict[str, Quantity]
QosClass = Literal["Guaranteed", "Burstable", "BestEffort"]


def requests(spec: Mapping[str, Any]) -> Amounts:
    """What the scheduler sets aside: containers together or the largest init container, and the overhead."""
    return _total(spec, "requests")


def limits(spec: Mapping[str, Any]) -> Amounts:
    return _total(spec, "limits")


def _total(spec: Mapping[str, Any], which: str) -> Amounts:
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
    whole = _largest(_sum((running, sidecars)), starting)
    pod_level = {name: parse(value) for name, value in ((spec.get("resources") or {}).get(which) or {}).items()}
    overhead = {name: parse(value) for name, value in (spec.get("overhead") or {}).items()}
    return _sum(({**whole, **pod_level}, overhead))


def qos_class(spec: Mapping[str, Any]) -> QosClass:
    """Guaranteed: every container has cpu and memory limits equal to its requests; BestEffort: none has any."""
    containers: list[Json] = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    asked = [(_compute(container, "requests"), _compute(container, "limits")) for container in containers]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    equal = all(len(limits) == 2 and requests == limits for requests, limits in asked)
    return "Guaranteed" if equal else "Burstable"


def _compute(container: Json, which: str) -> Amounts:
    return {name: amount for name, amount in _of(container, which).items() if name in ("cpu", "memory") and amount}


def _of(container: Json, which: str) -> Amounts:
    return {name: parse(value) for name, value in ((container.get("resources") or {}).get(which) or {}).items()}


def _sum(many: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for amounts in many:
        for name, amount in amounts.items():
            total[name] = total.get(name, ZERO) + amount
    return total


def _largest(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, ZERO), other.get(name, ZERO)) for name in {**one, **other}}
