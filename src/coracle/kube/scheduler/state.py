"""What the scheduler knows of nodes and of the pods on them, kept current by the caches' events.

Decoding every pod of a node for every decision would make a decision cost what the cluster holds; so each pod is
reduced to a few facts when it changes, and each node carries the sum of its pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coracle.core.object import Json, Key, Object
from coracle.core.quantity import parse_all
from coracle.core.store import Event
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.podspec.affinities import REQUIRED
from coracle.kube.kinds.podspec.amounts import requests
from coracle.kube.kinds.storagerules import claims_of

HostPort = tuple[str, str, int]  # protocol, address ("" or 0.0.0.0: every one), port
ANYWHERE = ("", "0.0.0.0")  # noqa: S104 - how specs write it
# What a pod counts for in scores when it says nothing: or else all of them would go to one node.
SUPPOSED = {"cpu": 100_000_000, "memory": 200 * 2**20 * 10**9}


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod as the scheduler sees it.  `wants`: resource -> billionths, as core.quantity counts.

    `claims` it mounts, by `namespace/name`; `alone`: those of them that no other pod may have (known of new pods only).
    """

    key: Key
    labels: Mapping[str, str]
    spec: Mapping[str, Any] = field(repr=False)
    wants: Mapping[str, int]
    ports: frozenset[HostPort]
    claims: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    controller: str = ""
    going: bool = False
    priority: int = 0
    started: str = ""  # RFC 3339
    room: Mapping[str, str] = field(default_factory=dict)  # the labels of its namespace

    def terms(self, affinity: str) -> Sequence[Json]:
        """The required terms of `podAffinity` or `podAntiAffinity`."""
        given = (self.spec.get("affinity") or {}).get(affinity) or {}
        return given.get(REQUIRED) or ()

    def supposed(self, resource: str) -> int:
        return self.wants.get(resource) or SUPPOSED[resource]


def facts(pod: Object, room: Mapping[str, str] | None = None) -> PodFacts:
    """`room`: the labels of its namespace."""
    owner = pod.meta.controller
    return PodFacts(
        key=pod.key,
        labels=pod.meta.labels,
        spec=pod.spec,
        wants={name: amount.nano for name, amount in requests(pod.spec).items() if amount},
        ports=frozenset(_host_ports(pod.spec)),
        claims=frozenset(f"{pod.meta.namespace}/{name}" for name in claims_of(pod).values()),
        controller=owner.uid if owner is not None else "",
        going=bool(pod.meta.deleting),
        priority=pod.spec.get("priority") or 0,
        started=pod.status.get("startTime") or "",
        room=room or {},
    )


def _host_ports(spec: Mapping[str, Any]) -> Iterable[HostPort]:
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for container in (*sidecars, *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("protocol") or "TCP", port.get("hostIP") or "", port["hostPort"]


@dataclass(slots=True)
class NodeState:
    """A node, what it gives and what its pods take.  Changed only by State; others change copies."""

    name: str
    labels: Mapping[str, str]
    taints: Sequence[Json] = ()
    unschedulable: bool = False
    gives: Mapping[str, int] = field(default_factory=dict)
    most_pods: int = 110
    pods: dict[Key, PodFacts] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    supposed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUPPOSED, 0))

    def copy(self) -> NodeState:
        return replace(self, pods=dict(self.pods), taken=dict(self.taken), supposed=dict(self.supposed))

    def add(self, pod: PodFacts) -> None:
        self.remove(pod.key)
        self.pods[pod.key] = pod
        self._count(pod, 1)

    def remove(self, key: Key) -> None:
        pod = self.pods.pop(key, None)
        if pod is not None:
            self._count(pod, -1)

    def _count(self, pod: PodFacts, sign: int) -> None:
        for name, amount in pod.wants.items():
            self.taken[name] = self.taken.get(name, 0) + sign * amount
        for name in SUPPOSED:
            self.supposed[name] += sign * pod.supposed(name)


class State:
    """All nodes by name.  A pod may be known to be on a node that is not (yet) known."""

    def __init__(self, room: Callable[[str], Mapping[str, str]] = lambda _name: {}) -> None:
        """`room` gives the labels of a namespace."""
        self._room = room
        self.nodes: dict[str, NodeState] = {}
        self._placed: dict[Key, str] = {}
        self._homeless: dict[str, dict[Key, PodFacts]] = {}
        self._nominated: dict[Key, tuple[str, PodFacts]] = {}
        self._waiting: dict[Key, tuple[int, str]] = {}  # less first: the negative of the priority, and since when

    def see_node(self, event: Event) -> None:
        name = event.entry.key.name
        before = self.nodes.pop(name, None)
        there = dict(before.pods) if before is not None else self._homeless.pop(name, {})
        if event.type == "DELETED":
            self._homeless[name] = there
            return
        node = _node(event.entry.object())
        for pod in there.values():
            node.add(pod)
        self.nodes[name] = node

    def see_pod(self, event: Event) -> None:
        key = event.entry.key
        self.forget(key)
        self._waiting.pop(key, None)
        if event.type == "DELETED":
            return
        pod = event.entry.object()
        if not pod.spec.get("nodeName"):
            self._waiting[key] = (-(pod.spec.get("priority") or 0), pod.meta.created)
        if pod.spec.get("nodeName") and not pods.ended(pod):
            self.assume(self.facts(pod), pod.spec["nodeName"])
        elif pod.status.get("nominatedNodeName") and pods.active(pod):
            self._nominated[key] = (pod.status["nominatedNodeName"], self.facts(pod))

    def see_room(self, event: Event) -> None:
        """A namespace: its labels are what terms of affinity may ask of the pods in it."""
        room, labels = event.entry.key.name, event.entry.labels
        if event.before is not None and event.before.labels == labels:
            return
        for key, name in self._placed.items():
            if key.namespace != room:
                continue
            there = self.nodes[name].pods if name in self.nodes else self._homeless[name]
            there[key] = replace(there[key], room=labels)
        for key, (name, pod) in self._nominated.items():
            if key.namespace == room:
                self._nominated[key] = (name, replace(pod, room=labels))

    def in_turn(self, waiting: Iterable[Key]) -> list[Key]:
        """The more important ones first, of these the older ones."""
        return sorted(waiting, key=lambda key: (*self._waiting.get(key, (0, "")), key))

    def facts(self, pod: Object) -> PodFacts:
        return facts(pod, self._room(pod.meta.namespace))

    def before(self, pod: PodFacts) -> tuple[NodeState, ...]:
        """The nodes as `pod` meets them: with those that are to come and matter at least as much."""
        others = [(name, one) for key, (name, one) in self._nominated.items() if key != pod.key]
        found = dict(self.nodes)
        for name, one in others:
            if one.priority >= pod.priority and name in found:
                found[name] = found[name].copy()
                found[name].add(one)
        return tuple(found.values())

    def assume(self, pod: PodFacts, name: str) -> None:
        """Count `pod` on that node, before or after the store says so."""
        self.forget(pod.key)
        self._placed[pod.key] = name
        if name in self.nodes:
            self.nodes[name].add(pod)
        else:
            self._homeless.setdefault(name, {})[pod.key] = pod

    def forget(self, key: Key) -> None:
        self._nominated.pop(key, None)
        name = self._placed.pop(key, None)
        if name in self.nodes:
            self.nodes[name].remove(key)
        elif name is not None:
            self._homeless.get(name, {}).pop(key, None)


def _node(node: Object) -> NodeState:
    gives = parse_all(node.status.get("allocatable"))
    most = gives.pop("pods", None)
    return NodeState(
        name=node.meta.name,
        labels=node.meta.labels,
        taints=node.spec.get("taints") or (),
        unschedulable=bool(node.spec.get("unschedulable")),
        gives={name: amount.nano for name, amount in gives.items()},
        most_pods=most.whole if most is not None else 0,
    )
