"""Whether there is room on this node for a pod beside the others, whoever has put it there.  Pure.

The scheduler puts none where it does not fit; a `nodeName` or a Binding may.  A pod that does not fit has failed, as
one that the node cannot run at all (admission).

Source: Kubernetes documentation, "Assigning Pods to Nodes: nodeName"; kubelet's predicates and their messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from coracle.core.object import Object
from coracle.core.quantity import ZERO, parse
from coracle.kube.kinds.podspec.amounts import requests
from coracle.kube.kubelet.admission import Refusal

HostPort = tuple[str, int, str]  # protocol, port, address
_ANYWHERE = ("", "0.0.0.0")  # noqa: S104 - how specs write it
_PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"


def is_new(pod: Object) -> bool:
    """Never taken up by a kubelet so far."""
    return not pod.status.get("startTime") and not pod.meta.deleting


def misfit(pod: Object, others: Iterable[Object], capacity: Mapping[str, str]) -> Refusal | None:
    """None: there is room beside `others`.  `capacity`: as in Node.status.capacity."""
    there = list(others)
    return _short(pod, there, capacity) or _ports_taken(pod, there)


def _short(pod: Object, others: list[Object], capacity: Mapping[str, str]) -> Refusal | None:
    if "pods" in capacity and len(others) >= int(capacity["pods"]):
        return _out_of("pods", 1, len(others), int(capacity["pods"]))
    asked = {name: amount for name, amount in requests(pod.spec).items() if amount and name in capacity}
    taken = [requests(other.spec) for other in others] if asked else []
    for name, amount in asked.items():
        used, whole = sum((one.get(name, ZERO) for one in taken), ZERO), parse(capacity[name])
        if amount + used > whole:
            found = (one.milli if name == "cpu" else one.whole for one in (amount, used, whole))
            return _out_of(name, *found)
    return None


def _out_of(name: str, requested: int, used: int, capacity: int) -> Refusal:
    said = f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
    return Refusal(f"OutOf{name}", said)


def _ports_taken(pod: Object, others: list[Object]) -> Refusal | None:
    asked = list(_host_ports(pod.spec))
    taken = [port for other in others for port in _host_ports(other.spec)] if asked else []
    return Refusal("NodePorts", _PORTS) if any(_clash(one, other) for one in asked for other in taken) else None


def _host_ports(spec: Mapping[str, Any]) -> Iterator[HostPort]:
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("protocol") or "TCP", port["hostPort"], port.get("hostIP") or ""


def _clash(one: HostPort, other: HostPort) -> bool:
    return one[:2] == other[:2] and (one[2] == other[2] or one[2] in _ANYWHERE or other[2] in _ANYWHERE)
