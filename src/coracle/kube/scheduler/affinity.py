"""Selecting nodes by their labels, and by the pods that are already there.

Source: Kubernetes documentation, "Assigning Pods to Nodes", "Pod Topology Spread Constraints".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.object import Json
from coracle.core.selectors import Selector, from_label_selector, matches
from coracle.kube.kinds import nodeterms
from coracle.kube.kinds.podspec.affinities import REQUIRED
from coracle.kube.kinds.taints import tolerated
from coracle.kube.scheduler.state import NodeState, PodFacts


def selects(pod: PodFacts, node: NodeState) -> bool:
    """The pod's nodeSelector and its required node affinity."""
    if not matches(pod.spec.get("nodeSelector") or {}, node.labels):
        return False
    needed = ((pod.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return needed is None or any(fits(term, node) for term in needed.get("nodeSelectorTerms") or ())


def fits(term: Json, node: NodeState) -> bool:
    """A node selector term."""
    return nodeterms.fits(term, nodeterms.Place(node.name, node.labels))


@dataclass(frozen=True, slots=True)
class Term:
    """A pod affinity term: other pods, and how near they are (the same value of the node label `topology`)."""

    selector: Selector
    namespaces: frozenset[str]
    topology: str
    rooms: Selector | None = None  # namespaces by their labels, beside those named

    def means(self, pod: PodFacts) -> bool:
        near = pod.key.namespace in self.namespaces or (self.rooms is not None and self.rooms.accepts(pod.room))
        return near and self.selector.accepts(pod.labels)


def term(given: Json, holder: PodFacts) -> Term:
    """`holder` is the pod whose term it is; its selectors were completed by its labels when it was made."""
    chosen = given.get("namespaceSelector")
    named = frozenset(given.get("namespaces") or (() if chosen is not None else (holder.key.namespace,)))
    rooms = from_label_selector(chosen) if chosen is not None else None
    return Term(from_label_selector(given.get("labelSelector")), named, given["topologyKey"], rooms)


def domains(one: Term, nodes: Iterable[NodeState], *, going: bool = True) -> dict[str, int]:
    """How many pods that `one` means are in each value of its topology label; `going`: those on their way out, too."""
    found: dict[str, int] = {}
    for node in nodes:
        value = node.labels.get(one.topology)
        if value is not None:
            number = sum(1 for pod in node.pods.values() if (going or not pod.going) and one.means(pod))
            found[value] = found.get(value, 0) + number
    return found


@dataclass(frozen=True, slots=True)
class Spread:
    """A topology spread constraint: the pods it means in each place, and `itself`: whether the new one is one more.

    `least`: in the emptiest place; `most`: how many more there may be elsewhere.
    """

    term: Term
    counts: Mapping[str, int]
    itself: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the pods that are there mean for one new pod: counted once, then asked per node."""

    near: tuple[tuple[Term, Mapping[str, int], bool], ...] = ()  # and whether the pod itself would do
    away: tuple[tuple[Term, Mapping[str, int]], ...] = ()
    shunned: frozenset[tuple[str, str]] = frozenset()  # topology label and value where others do not want it
    spread: tuple[Spread, ...] = ()

    def repels(self, node: NodeState) -> str:
        """Why `node` is not for the pod, or ""."""
        for one, counts, itself in self.near:
            value = node.labels.get(one.topology)
            alone = itself and not any(counts.values())  # the first of its sort has nobody to be near
            if value is None or not (counts.get(value) or alone):
                return "node(s) didn't match pod affinity rules"
        for one, counts in self.away:
            if counts.get(node.labels.get(one.topology, "")):
                return "node(s) didn't match pod anti-affinity rules"
        if any(node.labels.get(key) == value for key, value in self.shunned):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
        return self._skews(node)

    def _skews(self, node: NodeState) -> str:
        for one in self.spread:
            value = node.labels.get(one.term.topology)
            if value is None:
                return "node(s) didn't match pod topology spread constraints (missing required label)"
            if one.counts.get(value, 0) + one.itself - one.least > one.most:
                return "node(s) didn't match pod topology spread constraints"
        return ""


def neighbours(pod: PodFacts, nodes: Sequence[NodeState]) -> Neighbours:
    near = [term(given, pod) for given in pod.terms("podAffinity")]
    away = [term(given, pod) for given in pod.terms("podAntiAffinity")]
    return Neighbours(
        near=tuple((one, domains(one, nodes), one.means(pod)) for one in near),
        away=tuple((one, domains(one, nodes)) for one in away),
        shunned=frozenset(_shunned(pod, nodes)),
        spread=tuple(spreads(pod, nodes, "DoNotSchedule")),
    )


def _shunned(pod: PodFacts, nodes: Iterable[NodeState]) -> Iterable[tuple[str, str]]:
    for node in nodes:
        for other in node.pods.values():
            for given in other.terms("podAntiAffinity"):
                one = term(given, other)
                if one.means(pod) and one.topology in node.labels:
                    yield one.topology, node.labels[one.topology]


def spreads(pod: PodFacts, nodes: Sequence[NodeState], unsatisfiable: str) -> Iterable[Spread]:
    """The pod's constraints of that sort, counted on the nodes that each of them looks at."""
    for given in pod.spec.get("topologySpreadConstraints") or ():
        if given.get("whenUnsatisfiable") != unsatisfiable:
            continue
        one = term(given, pod)
        counts = domains(one, [node for node in nodes if _looked_at(given, pod, node)], going=False)
        few = len(counts) < (given.get("minDomains") or 1)
        least = 0 if few else min(counts.values(), default=0)
        yield Spread(one, counts, int(one.selector.accepts(pod.labels)), least, given["maxSkew"])


def _looked_at(given: Json, pod: PodFacts, node: NodeState) -> bool:
    if given.get("nodeAffinityPolicy", "Honor") == "Honor" and not selects(pod, node):
        return False
    if given.get("nodeTaintsPolicy", "Ignore") == "Ignore":
        return True
    hard = [taint for taint in node.taints if taint["effect"] in ("NoSchedule", "NoExecute")]
    return all(tolerated(taint, pod.spec.get("tolerations") or ()) for taint in hard)
