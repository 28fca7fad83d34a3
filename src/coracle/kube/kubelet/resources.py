"""Requests and limits as the kernel takes them, and what they say about a pod's importance.  Pure.

    a container   its own, and where it has no limit the pod's, if that has one as a whole
    the pod       one that says something of itself as a whole has a control group, in which its containers' are

Source: Kubernetes documentation, "Resource Management", "Assign Pod-level CPU and memory resources", "Pod Quality of
Service Classes", "Node-pressure Eviction" (OOM scores); kubelet's policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.object import Object
from coracle.core.quantity import ZERO, Quantity, parse_all
from coracle.kube.kinds.podspec import amounts
from coracle.kube.kinds.priorityclass import SYSTEM
from coracle.kube.kubelet.records import containers_of, init_containers_of
from coracle.runtime.api import Group, Resources

_PERIOD_US = 100_000
_SHORTEST_QUOTA_US = 1_000  # the kernel takes no less
_FEWEST_SHARES = 2
_GUARANTEED, _BEST_EFFORT = -997, 1000
CRITICAL = SYSTEM["system-cluster-critical"]  # pods of this priority, or above, stay


def asked(holder: Mapping[str, Any], which: str) -> dict[str, Quantity]:
    """`requests` or `limits` of a container, or of a pod's spec as a whole, by resource."""
    return parse_all((holder.get("resources") or {}).get(which))


def limits(pod: Object, container: Mapping[str, Any]) -> Resources:
    """requests.cpu -> shares, limits.cpu -> quota, limits.memory -> the hard limit."""
    most = {**asked(pod.spec, "limits"), **asked(container, "limits")}
    return _resources(asked(container, "requests").get("cpu"), most)


def group(pod: Object) -> Group | None:
    """What its containers may have together; None: only each its own."""
    if not amounts.has_own(pod.spec):
        return None
    own, together = asked(pod.spec, "limits"), amounts.limits(pod.spec)
    declared = {name: together[name] for name in ("cpu", "memory") if name in own or _all_have(pod, name)}
    return Group(name=f"pod{pod.meta.uid}", resources=_resources(amounts.requests(pod.spec).get("cpu"), declared))


def _all_have(pod: Object, name: str) -> bool:
    return all(asked(one, "limits").get(name) for one in [*containers_of(pod), *init_containers_of(pod)])


def _resources(cpu_request: Quantity | None, most: Mapping[str, Quantity]) -> Resources:
    cpu, memory = most.get("cpu"), most.get("memory")
    share = cpu_request if cpu_request is not None else cpu
    return Resources(
        memory_bytes=memory.whole if memory else None,
        memory_swap_bytes=memory.whole if memory else None,  # no swap beyond it
        cpu_quota_us=max(cpu.milli * _PERIOD_US // 1000, _SHORTEST_QUOTA_US) if cpu else None,
        cpu_period_us=_PERIOD_US,
        cpu_shares=max(share.milli * 1024 // 1000, _FEWEST_SHARES) if share is not None else _FEWEST_SHARES,
    )


def quality(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort."""
    return amounts.qos_class(pod.spec)


def oom_score_adj(pod: Object, container: Mapping[str, Any], capacity_bytes: int) -> int:
    """How soon the kernel kills it when memory is short: -997 (last) to 1000 (first).

    What a pod asks for beyond its containers counts for each of them alike; a sidecar goes no sooner than the ordinary
    container that asks for least.
    """
    if (pod.spec.get("priority") or 0) >= CRITICAL:
        return _GUARANTEED
    match quality(pod):
        case "Guaranteed":
            return _GUARANTEED
        case "BestEffort":
            return _BEST_EFFORT
    bytes = _memory(container)
    if container.get("restartPolicy") == "Always":
        bytes = max(bytes, min(map(_memory, containers_of(pod))))
    share = 1000 - 1000 * (bytes + _spare_bytes(pod)) // max(capacity_bytes, 1)
    return min(max(share, _BEST_EFFORT + _GUARANTEED), _BEST_EFFORT - 1)


def _memory(container: Mapping[str, Any]) -> int:
    """What it asks for, in bytes."""
    return asked(container, "requests").get("memory", ZERO).whole


def _spare_bytes(pod: Object) -> int:
    """For each container, of what the pod as a whole asks for beyond them."""
    own = asked(pod.spec, "requests").get("memory")
    if own is None:
        return 0
    taken = amounts.of_containers(pod.spec, "requests").get("memory", ZERO)
    everyone = [*containers_of(pod), *init_containers_of(pod)]
    return max(0, (own - taken).whole) // max(1, len(everyone))
