"""Services become Forwards: cluster IP, node port, external IPs and a balancer's address, each to the addresses behind.

    cluster IP                       who is used (endpoints.py); with internalTrafficPolicy Local, of this node only
    node port, external, balancer's  the same with externalTrafficPolicy
    balancer's                       only for clients in loadBalancerSourceRanges, where there are some
    the node's own address           as a balancer's: the port at every address of the node, 127.0.0.1 included

Decide: forwards(), pure, one Service.  Act: ServiceProxy.reconcile(), which hands the whole set to `net.forwards`; a
port that somebody else holds becomes an event on its Service, and every other Forward still applies.

Source: Kubernetes documentation, "Service", "Virtual IPs and Service Proxies", "Service Internal Traffic Policy".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

from coracle.core.informer import Informer
from coracle.core.loop import Again, ToKeys, itself
from coracle.core.object import Key, Object
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.proxy.endpoints import SERVICE, SLICE, Backends, Endpoint, Place, ours, ports_of, to_service, used
from coracle.net.api import Forward, Target, Transport
from coracle.net.forwards import Forwards

Sources = tuple[IPv4Network, ...] | None  # who may come; None: everybody

AFFINITY_S = 10_800
OWNER = "kube"
RETRY_S = 10.0  # for a port that was taken


def forwards(service: Object, behind: Sequence[Endpoint], place: Place) -> list[Forward]:
    """All that `service` asks for at `place`.  Nothing for a headless one, one that is only a name, or another's."""
    return (
        [one for port in ports_of(service) for one in _of_port(service, port, behind, place)] if ours(service) else []
    )


def _of_port(service: Object, port: Mapping[str, Any], behind: Sequence[Endpoint], place: Place) -> Iterable[Forward]:
    transport: Transport = port.get("protocol") or "TCP"
    name, affinity_s = port.get("name") or "", _affinity_s(service)

    def forward(address: str | None, number: int, policy: str, sources: Sources = None) -> Forward:
        node = place.node if service.spec.get(policy) == "Local" else ""
        return Forward(
            f"{service.key}/{transport}/{address or 'node'}:{number}",
            transport,
            IPv4Address(address) if address else None,
            number,
            _targets(name, used(behind, name, node)),
            affinity_s=affinity_s,
            owner=f"Service {service.key}",
            sources=sources,
        )

    cluster_ip = service.spec.get("clusterIP") or ""
    if cluster_ip and ":" not in cluster_ip:
        yield forward(cluster_ip, port["port"], "internalTrafficPolicy")
    outside = {
        **dict.fromkeys(service.spec.get("externalIPs") or ()),
        **dict.fromkeys(_balancers(service), _admitted(service)),
    }
    for address, sources in outside.items():
        if address != cluster_ip and ":" not in address:
            at = None if address == str(place.address) else address
            yield forward(at, port["port"], "externalTrafficPolicy", sources)
    if service.spec.get("type") in ("NodePort", "LoadBalancer") and port.get("nodePort"):
        yield forward(None, port["nodePort"], "externalTrafficPolicy")


def _balancers(service: Object) -> list[str]:
    """The addresses of a load balancer whose packets come as they were sent."""
    ingress = (service.status.get("loadBalancer") or {}).get("ingress") or ()
    return [one["ip"] for one in ingress if one.get("ip") and (one.get("ipMode") or "VIP") == "VIP"]


def _admitted(service: Object) -> Sources:
    """Whom a load balancer serves.  Ranges of IPv6 let nobody in here."""
    given = [ip_network(text.strip(), strict=False) for text in service.spec.get("loadBalancerSourceRanges") or ()]
    return tuple(sorted(one for one in given if isinstance(one, IPv4Network))) if given else None


def _targets(port_name: str, chosen: Iterable[Endpoint]) -> tuple[Target, ...]:
    known = {Target(IPv4Address(one.address), one.ports[port_name]) for one in chosen if ":" not in one.address}
    return tuple(sorted(known))


def _affinity_s(service: Object) -> int | None:
    if service.spec.get("sessionAffinity") != "ClientIP":
        return None
    asked = ((service.spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    return int(asked) if asked else AFFINITY_S


class ServiceProxy:
    """Keeps the Forwards of all Services.

    The kernel is told the whole set at once, so the first pass after a start computes every Service before it says
    anything: rules that a former daemon left are replaced by their equals, never by less.
    """

    name = "service-proxy"
    watches: Mapping[str, ToKeys] = {SERVICE: itself, SLICE: to_service}

    def __init__(
        self, services: Informer, backends: Backends, forwards: Forwards, recorder: EventRecorder, place: Place
    ) -> None:
        self._services, self._backends, self._place = services, backends, place
        self._forwards, self._recorder = forwards, recorder
        self._wanted: dict[Key, tuple[Forward, ...]] = {}
        self._refused: dict[str, str] = {}  # forward id -> why, as last said
        self._begun = False

    async def reconcile(self, key: Key) -> Again | None:
        """Tell the kernel what Service `key` wants now; again after a while where a port was taken."""
        before, first = self._wanted.get(key), not self._begun
        if first:
            self._begun = True
            for entry in self._services.entries():
                self._compute(entry.key)
        self._compute(key)
        if first or self._refused or self._wanted.get(key) != before:
            await self._publish()
        mine = {one.id for one in self._wanted.get(key, ())}
        return Again(RETRY_S) if mine & self._refused.keys() else None

    def _compute(self, key: Key) -> None:
        service = self._services.find(key)
        wanted = tuple(forwards(service, self._backends.of(key), self._place)) if service is not None else ()
        if wanted:
            self._wanted[key] = wanted
        else:
            self._wanted.pop(key, None)

    async def _publish(self) -> None:
        wanted = [forward for key in sorted(self._wanted) for forward in self._wanted[key]]
        refused = {refusal.forward.id: refusal for refusal in await self._forwards.offer(OWNER, wanted)}
        owners = {forward.id: key for key, those in self._wanted.items() for forward in those}
        for id, refusal in refused.items():
            service = self._services.find(owners[id]) if id in owners else None
            if service is not None and self._refused.get(id) != refusal.error.message:
                self._recorder.emit(service, "Warning", "PortAllocationFailed", refusal.error.message)
        self._refused = {id: refusal.error.message for id, refusal in refused.items()}
