"""Services become Forwards: cluster IP, node port and external IPs, each to the ready addresses behind them.

Decide: forwards(), pure, one Service.  Act: ServiceProxy.reconcile(), which hands the whole set to `net.forwards`; a
port that somebody else holds becomes an event on its Service, and every other Forward still applies.

Source: Kubernetes documentation, "Service", "Virtual IPs and Service Proxies".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from coracle.core.informer import Informer
from coracle.core.loop import Again, ToKeys, itself
from coracle.core.object import Key, Object
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.proxy.endpoints import ENDPOINTS, SERVICE, SLICE, Backends, Endpoint, headless, ports_of, to_service
from coracle.net.api import Forward, Target, Transport
from coracle.net.forwards import Forwards

AFFINITY_S = 10_800
OWNER = "kube"
RETRY_S = 10.0  # for a port that was taken


def forwards(service: Object, behind: Sequence[Endpoint]) -> list[Forward]:
    """All that `service` asks for.  Nothing for a headless one, or one that is only a name."""
    if headless(service) or service.spec.get("type") == "ExternalName":
        return []
    return [one for port in ports_of(service) for one in _of_port(service, port, behind)]


def _of_port(service: Object, port: Mapping[str, Any], behind: Sequence[Endpoint]) -> Iterable[Forward]:
    transport: Transport = port.get("protocol") or "TCP"
    targets = _targets(port.get("name") or "", behind)
    affinity_s = _affinity_s(service)
    owner = f"Service {service.key}"

    def forward(address: str | None, number: int) -> Forward:
        id = f"{service.key}/{transport}/{address or 'node'}:{number}"
        return Forward(
            id,
            transport,
            IPv4Address(address) if address else None,
            number,
            targets,
            affinity_s=affinity_s,
            owner=owner,
        )

    for address in _addresses(service):
        yield forward(address, port["port"])
    if service.spec.get("type") in ("NodePort", "LoadBalancer") and port.get("nodePort"):
        yield forward(None, port["nodePort"])


def _addresses(service: Object) -> list[str]:
    """Cluster IP, external IPs, and a load balancer's; IPv4, each once."""
    ingress = (service.status.get("loadBalancer") or {}).get("ingress") or ()
    asked = [
        service.spec.get("clusterIP") or "",
        *(service.spec.get("externalIPs") or ()),
        *(one.get("ip") or "" for one in ingress if one.get("ipMode", "VIP") == "VIP"),
    ]
    return list(dict.fromkeys(address for address in asked if address and ":" not in address))


def _targets(port_name: str, behind: Sequence[Endpoint]) -> tuple[Target, ...]:
    ready = [one for one in behind if one.ready and port_name in one.ports and ":" not in one.address]
    return tuple(sorted({Target(IPv4Address(one.address), one.ports[port_name]) for one in ready}))


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
    watches: Mapping[str, ToKeys] = {SERVICE: itself, SLICE: to_service, ENDPOINTS: itself}

    def __init__(self, services: Informer, backends: Backends, forwards: Forwards, recorder: EventRecorder) -> None:
        self._services, self._backends = services, backends
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
        wanted = tuple(forwards(service, self._backends.of(key))) if service is not None else ()
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
