"""Choose a node for a pod, or say why there is none.  Pure.

Source: the words of Kubernetes' FailedScheduling events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from coracle.kube.kinds.nodeterms import Place
from coracle.kube.scheduler.affinity import Neighbours, neighbours
from coracle.kube.scheduler.filters import freeable, reasons
from coracle.kube.scheduler.preemption import NO_VICTIMS, NOT_HELPFUL
from coracle.kube.scheduler.scores import totals
from coracle.kube.scheduler.state import NodeState, PodFacts

_NO_CLAIMS = "no new claims to deallocate"  # of devices, which nobody claims here


@dataclass(frozen=True, slots=True)
class Choice:
    """A node, or why not.  `refused`: the same for each node."""

    node: str = ""
    refusal: str = ""
    refused: Mapping[str, Sequence[str]] = field(default_factory=dict, compare=False)


def choose(pod: PodFacts, nodes: Sequence[NodeState], repels: Callable[[Place], str] = lambda _node: "") -> Choice:
    """The best node; the first by name of several that are equally good.

    `repels` says what else is against a node: "" where nothing is.
    """
    if not nodes:
        return Choice(refusal="no nodes available to schedule pods")
    around = neighbours(pod, nodes)
    refused = {node.name: _refusals(pod, node, around, repels) for node in nodes}
    possible = sorted((node for node in nodes if not refused[node.name]), key=lambda node: node.name)
    if not possible:
        helped = {node.name for node in nodes if freeable(pod, node, refused[node.name])}
        preemption = _counted({name: (NO_VICTIMS if name in helped else NOT_HELPFUL,) for name in refused})
        return Choice(refusal=explain(refused, preemption), refused=refused)
    if len(possible) == 1:
        return Choice(node=possible[0].name)
    points = totals(pod, possible)
    return Choice(node=possible[points.index(max(points))].name)


def _refusals(pod: PodFacts, node: NodeState, around: Neighbours, repels: Callable[[Place], str]) -> Sequence[str]:
    return reasons(pod, node, around) or [said for said in (repels(Place(node.name, node.labels)),) if said]


def refuse(why: str, nodes: int) -> str:
    """What is said where no node will do, whatever it has."""
    none = f"0/{nodes} nodes are available"
    return f"{none}: {why}. {_NO_CLAIMS}, preemption: {none}: {nodes} Preemption is not helpful for scheduling."


def explain(refused: Mapping[str, Sequence[str]], preemption: str) -> str:
    """`0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. ... preemption: ...`.

    `preemption` is what came of it; "": somebody goes.
    """
    return f"{_counted(refused)} {_NO_CLAIMS}, preemption: {preemption}" if preemption else _counted(refused)


def explain_preemption(reasons: Mapping[str, Sequence[str]]) -> str:
    return _counted(reasons)


def _counted(reasons: Mapping[str, Sequence[str]]) -> str:
    counted = Counter(reason for said in reasons.values() for reason in said)
    listed = ", ".join(sorted(f"{number} {reason}" for reason, number in counted.items()))
    return f"0/{len(reasons)} nodes are available: {listed}."
