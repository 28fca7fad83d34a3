"""What every cluster has from the start: its four namespaces, and the Service `kubernetes`, which leads to the API.

Made at every start; what is there already stays, except where the API has moved.  Who takes the service away, as
`kubectl delete services --all` does, has it back at once: all pods reach the API by it.

Source: Kubernetes documentation, "Namespaces"; kube-apiserver's systemnamespaces and kubernetesservice controllers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists
from coracle.core.loop import ToKeys
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.proxy.endpoints import ENDPOINTS, SERVICE, SERVICE_NAME, SLICE

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
KUBERNETES = Key("default", "kubernetes")
_LABELS = {"component": "apiserver", "provider": "kubernetes"}


@dataclass(frozen=True, slots=True)
class ApiPlace:
    """Where the API is reached by pods: not 127.0.0.1.  `services`: the range that cluster IPs are taken from."""

    address: IPv4Address
    port: int
    services: IPv4Network


async def ensure_namespaces(namespaces: Collection) -> None:
    for name in NAMESPACES:
        await _ensure(namespaces, Object("Namespace", Meta(name=name)))


async def ensure_kubernetes(collections: Mapping[str, Collection], place: ApiPlace) -> None:
    """The Service `kubernetes` and what stands behind it.  `collections` by type; its namespace exists."""
    await _ensure(collections[SERVICE], service(place))
    for wanted in (endpoints(place), slice(place)):
        collection = collections[wanted.type]
        if not await _ensure(collection, wanted):
            await collection.change(wanted.key, partial(_moved, wanted))


def _removed(event: Event) -> Iterable[Key]:
    return (KUBERNETES,) if event.type == "DELETED" and event.entry.key == KUBERNETES else ()


class KubernetesService:
    """Makes the service anew, and what stands behind it, where somebody has removed it."""

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


def service(place: ApiPlace) -> Object:
    ip = str(place.services[1])  # the first address of the range is the API's
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": place.port}
    spec = {
        "type": "ClusterIP",
        "clusterIP": ip,
        "clusterIPs": [ip],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [port],
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
    }
    return Object(SERVICE, _meta(_LABELS), {"spec": spec})


def endpoints(place: ApiPlace) -> Object:
    subset: Json = {"addresses": [{"ip": str(place.address)}], "ports": [_port(place)]}
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    return Object(ENDPOINTS, _meta(labels), {"subsets": [subset]})


def slice(place: ApiPlace) -> Object:
    body: Json = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(place.address)], "conditions": {"ready": True}}],
        "ports": [_port(place)],
    }
    kind, _, group = SLICE.partition(".")
    return Object(kind, _meta({SERVICE_NAME: KUBERNETES.name}), body, f"{group}/v1")


def _port(place: ApiPlace) -> Json:
    return {"name": "https", "port": place.port, "protocol": "TCP"}


def _meta(labels: Mapping[str, str]) -> Meta:
    return Meta(name=KUBERNETES.name, namespace=KUBERNETES.namespace, labels=labels)
