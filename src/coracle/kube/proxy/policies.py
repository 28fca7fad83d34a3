"""NetworkPolicies become isolation in the kernel.

    web: ingress from app=shop at port http     the pods of web get nothing, but what the shop's pods send to that port
    no policy is about a pod                    whatever likes

Decide: isolations(), pure.  Act: Policies.reconcile(), which tells the whole; nothing is computed while there is no
policy.  Source: Kubernetes documentation, "Network Policies"; networking.k8s.io/v1 NetworkPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

from coracle.core.informer import Informer
from coracle.core.loop import ToKeys
from coracle.core.object import Json, Key, Object
from coracle.core.selectors import from_label_selector
from coracle.core.store import Entry, Event
from coracle.kube.kinds import networkpolicy
from coracle.kube.kinds import pod as pods
from coracle.net.api import Transport
from coracle.net.policing import Allowance, Isolation, Policing, Span

POLICY, POD, NAMESPACE = networkpolicy.KIND.type, pods.KIND.type, "Namespace"
_ALL = Key("", "all")


@dataclass(frozen=True, slots=True)
class Plugged:
    """A pod with an address of its own.  `ports`: by transport and name, the numbers its containers give."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: Mapping[tuple[str, str], int]


def plugged(pod: Object) -> Plugged | None:
    """None: it has no address of its own, or none any more."""
    ip = str(pod.status.get("podIP") or "")
    if not ip or ":" in ip or pod.spec.get("hostNetwork") or pods.ended(pod):
        return None
    named = (port for one in pod.spec.get("containers") or () for port in one.get("ports") or () if port.get("name"))
    ports = {(port.get("protocol") or "TCP", port["name"]): int(port["containerPort"]) for port in named}
    return Plugged(pod.meta.namespace, pod.meta.labels, ip, ports)


Rooms = Mapping[str, Mapping[str, str]]  # namespace -> its labels


def isolations(policies: Iterable[Object], all_pods: Sequence[Plugged], rooms: Rooms) -> list[Isolation]:
    """The pods that a policy is about, and what all policies together allow them."""
    found: dict[str, dict[str, list[Allowance]]] = {}
    for policy in policies:
        selector = from_label_selector(policy.spec.get("podSelector") or {})
        mine = [one for one in all_pods if one.namespace == policy.meta.namespace and selector.accepts(one.labels)]
        types = policy.spec.get("policyTypes") or ()
        for way, side, told in (("ingress", "from", "Ingress"), ("egress", "to", "Egress")):
            if told not in types or not mine:
                continue
            rules = [
                (rule, list(_peers(rule.get(side), policy, all_pods, rooms))) for rule in policy.spec.get(way) or ()
            ]
            for one in mine:
                allowed = found.setdefault(one.address, {}).setdefault(way, [])
                for rule, peers in rules:
                    allowed += _allowances(rule.get("ports"), peers, one if way == "ingress" else None, all_pods)
    return [
        Isolation(address, *(tuple(dict.fromkeys(ways[way])) if way in ways else None for way in ("ingress", "egress")))
        for address, ways in sorted(found.items())
    ]


Peer = tuple[Sequence[Plugged] | None, Allowance]  # its pods, where that is what it names; whom it allows


def _peers(given: Sequence[Json] | None, policy: Object, all_pods: Sequence[Plugged], rooms: Rooms) -> Iterator[Peer]:
    if not given:
        yield None, Allowance()
        return
    meant: list[Plugged] = []
    for peer in given:
        if peer.get("ipBlock"):
            yield None, _block(peer["ipBlock"])
        else:
            meant += _meant(peer, policy, all_pods, rooms)
    if meant:
        yield meant, Allowance(tuple(sorted({one.address for one in meant})))


def _meant(peer: Json, policy: Object, all_pods: Sequence[Plugged], rooms: Rooms) -> list[Plugged]:
    of_pods = from_label_selector(peer.get("podSelector") or {})
    if peer.get("namespaceSelector") is None:
        names = {policy.meta.namespace}
    else:
        of_rooms = from_label_selector(peer["namespaceSelector"])
        names = {name for name, labels in rooms.items() if of_rooms.accepts(labels)}
    return [one for one in all_pods if one.namespace in names and of_pods.accepts(one.labels)]


def _block(block: Json) -> Allowance:
    whole, *excepted = (ip_network(text, strict=False) for text in (block["cidr"], *(block.get("except") or ())))
    if not isinstance(whole, IPv4Network):
        return Allowance(())
    return Allowance((str(whole),), tuple(str(one) for one in excepted if isinstance(one, IPv4Network)))


def _allowances(
    ports: Sequence[Json] | None, peers: Sequence[Peer], subject: Plugged | None, all_pods: Sequence[Plugged]
) -> Iterator[Allowance]:
    """What a rule allows.  `subject`: whose ports names mean; None: those of each peer."""
    if not ports:
        yield from (allowance for _, allowance in peers)
        return
    plain = [port for port in ports if not isinstance(port.get("port"), str)]
    named = [port for port in ports if isinstance(port.get("port"), str)]
    spans = [_span(port) for port in plain]
    if subject is not None:
        spans += [span for port in named if (span := _named(port, subject)) is not None]
    for meant, allowance in peers:
        if spans:
            yield Allowance(allowance.networks, allowance.excepted, tuple(sorted(set(spans))))
        if subject is None and named:
            yield from _by_name(named, all_pods if meant is None else meant, allowance)


def _by_name(named: Sequence[Json], peers: Iterable[Plugged], allowance: Allowance) -> Iterator[Allowance]:
    """Each peer at its own port of that name."""
    for one in peers:
        spans = {span for port in named if (span := _named(port, one)) is not None}
        if spans and _covers(allowance, one.address):
            yield Allowance((one.address,), (), tuple(sorted(spans)))


def _covers(allowance: Allowance, address: str) -> bool:
    return (allowance.networks is None or _has(allowance.networks, address)) and not _has(allowance.excepted, address)


def _has(networks: Sequence[str], address: str) -> bool:
    return address in networks or any(IPv4Address(address) in IPv4Network(one) for one in networks if "/" in one)


def _span(port: Mapping[str, Any]) -> Span:
    first = int(port.get("port") or 0)
    return Span(port.get("protocol") or "TCP", first, int(port.get("endPort") or first))


def _named(port: Mapping[str, Any], pod: Plugged) -> Span | None:
    transport: Transport = port.get("protocol") or "TCP"
    number = pod.ports.get((transport, port["port"]))
    return Span(transport, number, number) if number else None


class Policies:
    """Keeps the isolation of all pods."""

    name = "network-policies"

    def __init__(self, caches: Mapping[str, Informer], net: Policing) -> None:
        self._policies, self._pods, self._rooms = caches[POLICY], caches[POD], caches[NAMESPACE]
        self._net = net
        self._told: list[Isolation] | None = None
        self.watches: Mapping[str, ToKeys] = {
            POLICY: lambda _event: (_ALL,),
            POD: self._of_pod,
            NAMESPACE: self._of_room,
        }

    async def reconcile(self, key: Key) -> None:
        policies = [entry.object() for entry in self._policies.entries()]
        wanted: list[Isolation] = []
        if policies:
            known = (plugged(entry.object()) for entry in self._pods.entries())
            rooms = {entry.key.name: entry.labels for entry in self._rooms.entries()}
            wanted = isolations(policies, [one for one in known if one is not None], rooms)
        if wanted != self._told:
            await self._net.isolate(wanted)
            self._told = wanted

    def _of_pod(self, event: Event) -> Iterable[Key]:
        """Only what changes who a pod is, and where."""
        if not self._told and not self._any():
            return ()
        now = _who(event.entry) if event.type != "DELETED" else None
        return (_ALL,) if now != (_who(event.before) if event.before is not None else None) else ()

    def _of_room(self, _event: Event) -> Iterable[Key]:
        """Also once in the beginning: what a former daemon has left may not be wanted any more."""
        return (_ALL,) if self._told is None or self._any() else ()

    def _any(self) -> bool:
        return next(iter(self._policies.entries()), None) is not None


def _who(entry: Entry) -> Plugged | None:
    return plugged(entry.object())
