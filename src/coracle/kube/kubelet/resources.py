"""Requests and limits as the kernel takes them, and what they say about a pod's importance.  Pure.

Source: Kubernetes documentation, "Resource Management", "Pod Quality of Service Classes"; kubelet's policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.object import Object
from coracle.core.quantity import Quantity, parse
from coracle.kube.kubelet.records import containers_of, init_containers_of
from coracle.runtime.api import Resources

_PERIOD_US = 100_000
_SHORTEST_QUOTA_US = 1_000  # the kernel takes no less
_FEWEST_SHARES = 2


def asked(container: Mapping[str, Any], which: str) -> dict[str, Quantity]:
    """`requests` or `limits` of a container, by resource."""
    amounts = (container.get("resources") or {}).get(which) or {}
    return {name: parse(amount) for name, amount in amounts.items()}


def limits(container: Mapping[str, Any]) -> Resources:
    """requests.cpu -> shares, limits.cpu -> quota, limits.memory -> the hard limit."""
    requests, most = asked(container, "requests"), asked(container, "limits")
    cpu, memory = most.get("cpu"), most.get("memory")
    share = requests.get("cpu", cpu)
    return Resources(
        memory_bytes=memory.whole if memory else None,
        memory_swap_bytes=memory.whole if memory else None,  # no swap beyond it
        cpu_quota_us=max(cpu.milli * _PERIOD_US // 1000, _SHORTEST_QUOTA_US) if cpu else None,
        cpu_period_us=_PERIOD_US,
        cpu_shares=max(share.milli * 1024 // 1000, _FEWEST_SHARES) if share is not None else _FEWEST_SHARES,
    )


def quality(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort."""
    everyone = [*containers_of(pod), *init_containers_of(pod)]
    amounts = [(asked(one, "requests"), asked(one, "limits")) for one in everyone]
    if not any(requests.get(name) or most.get(name) for requests, most in amounts for name in ("cpu", "memory")):
        return "BestEffort"
    guaranteed = all(
        most.get(name) and requests.get(name, most[name]) == most[name]
        for requests, most in amounts
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if guaranteed else "Burstable"


def oom_score_adj(pod: Object, container: Mapping[str, Any], capacity_bytes: int) -> int:
    """How soon the kernel kills it when memory is short: -997 (last) to 1000 (first)."""
    match quality(pod):
        case "Guaranteed":
            return -997
        case "BestEffort":
            return 1000
    memory = asked(container, "requests").get("memory")
    share = 1000 - (1000 * memory.whole // max(capacity_bytes, 1) if memory else 0)
    return min(max(share, 3), 999)
