"""Which of the nodes that can run a pod is the best for it.

Each score is 0 to 100 for every node and weighs as in Kubernetes' default profile.

Source: Kubernetes documentation, "Scheduler Configuration", "Resource Bin Packing".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coracle.kube.kinds.podspec.affinities import PREFERRED
from coracle.kube.kinds.taints import tolerated
from coracle.kube.scheduler.affinity import domains, fits, spreads, term
from coracle.kube.scheduler.state import NodeState, PodFacts

Score = Callable[[PodFacts, Sequence[NodeState]], list[float]]


def totals(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    """The weighted score of each node."""
    sums = [0.0] * len(nodes)
    for weight, score in _SCORES:
        for index, value in enumerate(score(pod, nodes)):
            sums[index] += weight * value
    return sums


def least_taken(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    """Much room left: good."""
    return [sum(100 * (1 - part) for part in _parts(pod, node)) / 2 for node in nodes]


def balanced(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    """Cpu and memory used to the same degree: good."""
    both = [_parts(pod, node) for node in nodes]
    return [100 * (1 - abs(cpu - memory) / 2) for cpu, memory in both]


def _parts(pod: PodFacts, node: NodeState) -> tuple[float, float]:
    """How much of the node's cpu and memory is taken with `pod` on it, 0 to 1."""
    return _part("cpu", pod, node), _part("memory", pod, node)


def _part(name: str, pod: PodFacts, node: NodeState) -> float:
    gives = node.gives.get(name, 0)
    return min(1.0, (node.supposed[name] + pod.supposed(name)) / gives) if gives else 1.0


def preferred_nodes(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    terms = ((pod.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(PREFERRED) or ()
    return _of_largest([sum(one["weight"] for one in terms if fits(one["preference"], node)) for node in nodes])


def few_taints(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    """Soft taints that the pod does not tolerate: bad."""
    tolerations = pod.spec.get("tolerations") or ()
    numbers = [
        sum(1 for taint in node.taints if taint["effect"] == "PreferNoSchedule" and not tolerated(taint, tolerations))
        for node in nodes
    ]
    return [100 - value for value in _of_largest(numbers)]


def preferred_neighbours(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    sums = [0] * len(nodes)
    for name, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        for weighted in ((pod.spec.get("affinity") or {}).get(name) or {}).get(PREFERRED) or ():
            one = term(weighted["podAffinityTerm"], pod)
            counts = domains(one, nodes)
            for index, node in enumerate(nodes):
                sums[index] += sign * weighted["weight"] * counts.get(node.labels.get(one.topology, ""), 0)
    least = min(sums, default=0)
    return _of_largest([value - least for value in sums])


def spread_out(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    """Many of those among which the pod is to be spread, where it can be: bad."""
    sums = [0] * len(nodes)
    for one in spreads(pod, nodes, "ScheduleAnyway"):
        worst = max(one.counts.values(), default=0) + 1
        for index, node in enumerate(nodes):
            sums[index] += one.counts.get(node.labels.get(one.term.topology, ""), worst)
    return [100 - value for value in _of_largest(sums)]


def apart(pod: PodFacts, nodes: Sequence[NodeState]) -> list[float]:
    """Siblings, the pods of the same controller, on the node: bad."""
    if not pod.controller:
        return [100.0] * len(nodes)
    numbers = [sum(1 for other in node.pods.values() if other.controller == pod.controller) for node in nodes]
    return [100 - value for value in _of_largest(numbers)]


def _of_largest(values: Sequence[int]) -> list[float]:
    """As parts of a hundred of the largest."""
    largest = max(values, default=0)
    return [100 * value / largest if largest else 0.0 for value in values]


_SCORES: tuple[tuple[int, Score], ...] = (
    (1, least_taken),
    (1, balanced),
    (2, preferred_nodes),
    (3, few_taints),
    (2, preferred_neighbours),
    (2, spread_out),
    (2, apart),
)
