"""Who goes first when the node runs short, who may not come, and what is said of it.  Pure.

Those go first that use more than they asked for, of these the least important, of these the one that is furthest over.
What processes are concerned, only importance and number count.

Source: Kubernetes documentation, "Node-pressure Eviction: Pod selection for kubelet eviction"; the kubelet's messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from coracle.core.object import Object
from coracle.core.quantity import ZERO, Quantity, parse
from coracle.kube.kinds.podspec.amounts import qos_class, requests
from coracle.kube.kinds.taints import tolerated
from coracle.kube.kubelet.admission import Refusal
from coracle.kube.kubelet.records import everyone
from coracle.kube.kubelet.resources import CRITICAL
from coracle.kube.kubelet.thresholds import Stock, Threshold

VOLUMES = ""  # beside the containers' names: what is in the pod's own volumes
_NANO = 10**9
_MEMORY_TAINT = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod of this node, and what its containers and VOLUMES use, in bytes or processes; {} where nobody knows."""

    pod: Object
    used: Mapping[str, int] = field(default_factory=dict)

    @property
    def priority(self) -> int:
        return int(self.pod.spec.get("priority") or 0)

    def over(self, resource: str) -> int:
        """By how much it uses more than it asked for; not above 0: it does not."""
        return sum(self.used.values()) - requests(self.pod.spec).get(resource, ZERO).whole


def ranked(candidates: Iterable[Candidate], resource: str) -> list[Candidate]:
    """Who goes first."""

    def order(one: Candidate) -> tuple[object, ...]:
        over = one.over(resource)
        return (over <= 0 and resource != "pids", one.priority, -over, str(one.pod.key))

    return sorted((one for one in candidates if one.priority < CRITICAL), key=order)


def unwelcome(pod: Object, pressed: Collection[str]) -> Refusal | None:
    """Why a new pod is refused while the node has these conditions of pressure; None: it may come."""
    critical = int(pod.spec.get("priority") or 0) >= CRITICAL
    modest = qos_class(pod.spec) != "BestEffort" or tolerated(_MEMORY_TAINT, pod.spec.get("tolerations") or ())
    if not pressed or critical or (set(pressed) == {"MemoryPressure"} and modest):
        return None
    return Refusal("Evicted", f"The node had condition: [{' '.join(sorted(pressed))}]. ")


def message(threshold: Threshold, stock: Stock, candidate: Candidate) -> str:
    """What is said of the pod that has to go."""
    resource, amount = threshold.resource, threshold.amount.of(stock.capacity)
    low, left = (_shown(number, resource) for number in (amount, stock.available))
    said = f"The node was low on resource: {resource}. Threshold quantity: {low}, available: {left}. "
    asked = {one["name"]: (one.get("resources") or {}).get("requests") or {} for one in everyone(candidate.pod)}
    for name, used in candidate.used.items():
        request = parse(asked.get(name, {}).get(resource, "0"))
        if used > request.whole and name != VOLUMES and resource in ("memory", "ephemeral-storage"):
            said += (
                f"Container {name} was using {_shown(used, resource)}, request is {request}, "
                f"has larger consumption of {resource}. "
            )
    return said


def _shown(amount: int, resource: str) -> str:
    if resource not in ("memory", "ephemeral-storage"):
        return str(amount)
    return str(Quantity(amount // 1024 * 1024 * _NANO, "binary"))
