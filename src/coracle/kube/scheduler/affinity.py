"""Selecting nodes by their labels, and by the pods that are already there.

Source: Kubernetes documentation, "Assigning Pods to Nodes", "Pod Topology Spread Constraints".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.object import Json
from coracle.core.selectors import Selector, from_label_selector, matches
from coracle.kube.kinds import nodeterms
from coracle.kube.scheduler.state import NodeState, PodFacts

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


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
    namespaces: frozenset[str]  # empty: all
    topology: str

    def means(self, pod: PodFacts) -> bool:
        return (not self.namespaces or pod.key.namespace in self.namespaces) and self.selector.accepts(pod.labels)


def term(given: Json, namespace: str) -> Term:
    """`namespace` is that of the pod whose term it is.  A namespaceSelector counts as all namespaces."""
    named = frozenset(given.get("namespaces") or ())
    rooms = frozenset() if given.get("namespaceSelector") is not None else named or frozenset((namespace,))
    return Term(from_label_selector(given.get("labelSelector")), rooms, given["topologyKey"])


def domains(one: Term, nodes: Iterable[NodeState]) -> dict[str, int]:
    """How many pods that `one` means are in each value of its topology label."""
    found: dict[str, int] = {}
    for node in nodes:
        value = node.labels.get(one.topology)
        if value is not None:
            number = sum(1 for pod in node.pods.values() if one.means(pod))
            found[value] = found.get(value, 0) + number
    return found


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the pods that are there mean for one new pod: counted once, then asked per node."""

    near: tuple[tuple[Term, Mapping[str, int], bool], ...] = ()  # and whether the pod itself would do
    away: tuple[tuple[Term, Mapping[str, int]], ...] = ()
    shunned: frozenset[tuple[str, str]] = frozenset()  # topology label and value where others do not want it
    spread: tuple[tuple[Term, Mapping[str, int], int], ...] = ()  # and the most skew

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
        for one, counts, most in self.spread:
            value = node.labels.get(one.topology)
            if value is None:
                return "node(s) didn't match pod topology spread constraints (missing required label)"
            if counts.get(value, 0) + 1 - min(counts.values(), default=0) > most:
                return "node(s) didn't match pod topology spread constraints"
        return ""


def neighbours(pod: PodFacts, nodes: Sequence[NodeState]) -> Neighbours:
    room = pod.key.namespace
    near = [term(given, room) for given in pod.terms("podAffinity")]
    away = [term(given, room) for given in pod.terms("podAntiAffinity")]
    return Neighbours(
        near=tuple((one, domains(one, nodes), one.means(pod)) for one in near),
        away=tuple((one, domains(one, nodes)) for one in away),
        shunned=frozenset(_shunned(pod, nodes)),
        spread=tuple(_spread(pod, nodes)),
    )


def _shunned(pod: PodFacts, nodes: Iterable[NodeState]) -> Iterable[tuple[str, str]]:
    for node in nodes:
        for other in node.pods.values():
            for given in other.terms("podAntiAffinity"):
                one = term(given, other.key.namespace)
                if one.means(pod) and one.topology in node.labels:
                    yield one.topology, node.labels[one.topology]


def _spread(pod: PodFacts, nodes: Sequence[NodeState]) -> Iterable[tuple[Term, Mapping[str, int], int]]:
    eligible = [node for node in nodes if selects(pod, node)]
    for given in pod.spec.get("topologySpreadConstraints") or ():
        if given.get("whenUnsatisfiable") == "DoNotSchedule":
            one = term({**given, "namespaces": [pod.key.namespace]}, pod.key.namespace)
            yield one, domains(one, eligible), given["maxSkew"]
