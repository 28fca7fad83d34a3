"""What every cluster has from the start: four namespaces, the range of its services, and two Services.

    default/kubernetes      the first address of the range    leads to the API
    kube-system/kube-dns    the tenth                         leads to the name server, and is what pods are told of it

Made at every start; what is there already stays, except where the API has moved.  Who takes a service away, as
`kubectl delete services --all` does, has it back at once: all pods reach the API and names by them.

Source: Kubernetes documentation, "Namespaces", "Using CoreDNS for Service Discovery"; kube-apiserver's
systemnamespaces, kubernetesservice and defaultservicecidr controllers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from coracle.core import claims
from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, Invalid
from coracle.core.kind import Reader
from coracle.core.loop import ToKeys
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.kinds import servicecidr
from coracle.kube.kinds.serviceranges import cluster_ip_claim
from coracle.kube.proxy.endpoints import ENDPOINTS, SERVICE, SERVICE_NAME, SLICE

log = logging.getLogger(__name__)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
KUBERNETES, DNS = Key("default", "kubernetes"), Key("kube-system", "kube-dns")
DNS_NUMBER = 10  # of the address in the range
_LABELS = {"component": "apiserver", "provider": "kubernetes"}
_DNS_LABELS = {
    "k8s-app": "kube-dns",
    "kubernetes.io/cluster-service": "true",
    "kubernetes.io/name": "CoreDNS",
}
_DNS_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))
_DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class ApiPlace:
    """Where the API and the name server are reached by pods: not 127.0.0.1.

    `services`: the range that cluster IPs are taken from.
    """

    address: IPv4Address
    port: int
    services: IPv4Network

    @property
    def dns(self) -> IPv4Address:
        """What pods are told of the name server."""
        return self.services[DNS_NUMBER]


def dns_address(reader: Reader, services: IPv4Network, gateway: IPv4Address) -> IPv4Address:
    """What pods are told of the name server: its cluster IP; where a user's Service has that already, the bridge's."""
    address = services[DNS_NUMBER]
    holder = claims.holder(reader, cluster_ip_claim(str(address)))
    return address if holder in ("", f"Service {DNS}") else gateway


async def ensure_namespaces(namespaces: Collection) -> None:
    for name in NAMESPACES:
        await _ensure(namespaces, Object("Namespace", Meta(name=name)))


async def ensure_kubernetes(collections: Mapping[str, Collection], place: ApiPlace) -> None:
    """The range of services, the two Services and what stands behind them.  `collections` by type."""
    await _ensure(collections[servicecidr.TYPE], range(place))
    objects = [endpoints(place), slice(place)]
    await _ensure(collections[SERVICE], service(place))
    try:
        await _ensure(collections[SERVICE], dns_service(place))
    except Invalid as error:
        log.warning("names are answered without the service %s: %s", DNS, error)
    else:
        objects += [dns_endpoints(place), dns_slice(place)]
    for wanted in objects:
        collection = collections[wanted.type]
        if not await _ensure(collection, wanted):
            await collection.change(wanted.key, partial(_moved, wanted))


def _removed(event: Event) -> Iterable[Key]:
    return (KUBERNETES,) if event.type == "DELETED" and event.entry.key in (KUBERNETES, DNS) else ()


class KubernetesService:
    """Makes the two services anew, and what stands behind them, where somebody has removed one."""

    name = "kubernetes-service"
    watches: Mapping[str, ToKeys] = {SERVICE: _removed, ENDPOINTS: _removed, SLICE: _removed}

    def __init__(self, collections: Mapping[str, Collection], place: ApiPlace) -> None:
        self._collections, self._place = collections, place

    async def reconcile(self, key: Key) -> None:
        await ensure_kubernetes(self._collections, self._place)


async def _ensure(collection: Collection, wanted: Object) -> bool:
    """Returns whether it was made; False: it was there."""
    if collection.find(wanted.key) is not None:
        return False
    try:
        await collection.create(wanted)
    except AlreadyExists:
        return False
    return True


def _moved(wanted: Object, now: Object) -> Object:
    return now.with_body(**wanted.body)


def range(place: ApiPlace) -> Object:
    return Object(
        "ServiceCIDR", Meta(name=servicecidr.OWN), {"spec": {"cidrs": [str(place.services)]}}, servicecidr.API
    )


def service(place: ApiPlace) -> Object:
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": place.port}
    return Object(SERVICE, _meta(_LABELS), {"spec": _spec(place.services[1], [port])})


def dns_service(place: ApiPlace) -> Object:
    ports = [{"name": name, "port": _DNS_PORT, "protocol": p, "targetPort": _DNS_PORT} for name, p in _DNS_PORTS]
    return Object(SERVICE, _meta(_DNS_LABELS, DNS), {"spec": _spec(place.dns, ports)})


def _spec(address: IPv4Address, ports: list[Json]) -> Json:
    ip = str(address)
    return {
        "type": "ClusterIP",
        "clusterIP": ip,
        "clusterIPs": [ip],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": ports,
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
    }


def endpoints(place: ApiPlace) -> Object:
    return _endpoints(place, KUBERNETES, [_port(place)])


def slice(place: ApiPlace) -> Object:
    return _slice(place, KUBERNETES, [_port(place)])


def dns_endpoints(place: ApiPlace) -> Object:
    return _endpoints(place, DNS, _dns_ports())


def dns_slice(place: ApiPlace) -> Object:
    return _slice(place, DNS, _dns_ports())


def _endpoints(place: ApiPlace, of: Key, ports: list[Json]) -> Object:
    subset: Json = {"addresses": [{"ip": str(place.address)}], "ports": ports}
    return Object(ENDPOINTS, _meta({"endpointslice.kubernetes.io/skip-mirror": "true"}, of), {"subsets": [subset]})


def _slice(place: ApiPlace, of: Key, ports: list[Json]) -> Object:
    body: Json = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(place.address)], "conditions": {"ready": True}}],
        "ports": ports,
    }
    kind, _, group = SLICE.partition(".")
    return Object(kind, _meta({SERVICE_NAME: of.name}, of), body, f"{group}/v1")


def _port(place: ApiPlace) -> Json:
    return {"name": "https", "port": place.port, "protocol": "TCP"}


def _dns_ports() -> list[Json]:
    return [{"name": name, "port": _DNS_PORT, "protocol": protocol} for name, protocol in _DNS_PORTS]


def _meta(labels: Mapping[str, str], of: Key = KUBERNETES) -> Meta:
    return Meta(name=of.name, namespace=of.namespace, labels=labels)
