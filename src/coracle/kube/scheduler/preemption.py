"""Which pods have to go, and from which node, so that a more important one can run.  Pure.

On every node on which it helps: all pods of lower priority are taken away, and as many as possible let back, those
whose budget would be broken first, then the most important.  The node is chosen where least harm is done.

Source: Kubernetes documentation, "Pod Priority and Preemption".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.object import Key
from coracle.core.selectors import Selector
from coracle.kube.scheduler.affinity import neighbours
from coracle.kube.scheduler.filters import freeable, reasons
from coracle.kube.scheduler.state import NodeState, PodFacts

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many of a namespace's pods that `selector` means may be taken away."""

    namespace: str
    selector: Selector
    allowed: int

    def covers(self, pod: PodFacts) -> bool:
        return pod.key.namespace == self.namespace and self.selector.accepts(pod.labels)


@dataclass(frozen=True, slots=True)
class Plan:
    """The node and who has to go there; or, with no node, why it cannot be had on each."""

    node: str = ""
    victims: tuple[Key, ...] = ()
    reasons: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class _Offer:
    node: str
    victims: tuple[PodFacts, ...]
    broken: int

    def harm(self) -> tuple[object, ...]:
        """Less is better: broken budgets, the highest priority, their sum, how many, and who runs for longest."""
        highest = max(pod.priority for pod in self.victims)
        oldest = min((pod.started for pod in self.victims if pod.priority == highest and pod.started), default="~")
        return (
            self.broken,
            highest,
            sum(pod.priority + 2**31 for pod in self.victims),
            len(self.victims),
            _later(oldest),
            self.node,
        )


def _later(moment: str) -> tuple[int, ...]:
    """Orders RFC 3339 moments from late to early."""
    return tuple(-ord(char) for char in moment)


def plan(
    pod: PodFacts, nodes: Sequence[NodeState], refused: Mapping[str, Sequence[str]], budgets: Sequence[Budget] = ()
) -> Plan:
    """`refused`: why `pod` cannot run on each node as it is."""
    offers: list[_Offer] = []
    why: dict[str, Sequence[str]] = {}
    for node in nodes:
        if not freeable(pod, node, refused[node.name]):
            why[node.name] = (NOT_HELPFUL,)
        elif not any(other.priority < pod.priority for other in node.pods.values()):
            why[node.name] = (NO_VICTIMS,)
        else:
            offer = _offer(pod, node, nodes, budgets)
            if isinstance(offer, _Offer):
                offers.append(offer)
            else:
                why[node.name] = offer
    best = min(offers, key=_Offer.harm, default=None)
    if best is None:
        return Plan(reasons=why)
    return Plan(best.node, tuple(victim.key for victim in best.victims))


def _offer(
    pod: PodFacts, node: NodeState, nodes: Sequence[NodeState], budgets: Sequence[Budget]
) -> _Offer | Sequence[str]:
    """Who has to go from `node`; or why that does not help either."""
    left = node.copy()
    others = [left if one.name == node.name else one for one in nodes]

    def fault() -> Sequence[str]:
        return reasons(pod, left, neighbours(pod, others))

    lower = [other for other in node.pods.values() if other.priority < pod.priority]
    for victim in lower:
        left.remove(victim.key)
    why = fault()
    if why:
        return why
    order = sorted(lower, key=lambda one: (-one.priority, one.started or "~", one.key))
    violating = _violating(order, budgets)
    kept = [*_reprieved(left, (one for one in order if one.key in violating), fault)]
    kept += _reprieved(left, (one for one in order if one.key not in violating), fault)
    victims = tuple(one for one in order if one.key not in kept)
    if not victims:
        return (NO_VICTIMS,)
    return _Offer(node.name, victims, sum(1 for one in victims if one.key in violating))


def _reprieved(left: NodeState, candidates: Iterable[PodFacts], fault: Callable[[], Sequence[str]]) -> Iterable[Key]:
    """Lets back to the node those with whom the new pod still fits."""
    for one in candidates:
        left.add(one)
        if fault():
            left.remove(one.key)
        else:
            yield one.key


def _violating(pods: Iterable[PodFacts], budgets: Sequence[Budget]) -> set[Key]:
    """Those that, taken away in this order, break a budget."""
    left = [budget.allowed for budget in budgets]
    found = set()
    for pod in pods:
        covering = [index for index, budget in enumerate(budgets) if budget.covers(pod)]
        for index in covering:
            left[index] -= 1
        if any(left[index] < 0 for index in covering):
            found.add(pod.key)
    return found
