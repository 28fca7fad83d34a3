"""Which pods stand behind a Service, at which ports: the pure half of the endpoints loop.

Played out, a service with targetPort `http`, two pods that give that name to 80 and 8080, one of them not ready:

    groups      {(http 80): [pod 1], (http 8080): [pod 2]}
    Endpoints   subsets: one per group, pod 2 under notReadyAddresses
    slices      one per group (and per 100 pods): pod 2 with ready false

Source: Kubernetes documentation, "Services", "EndpointSlices"; v1 Endpoints; discovery.k8s.io/v1 EndpointSlice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core.object import Json, Object
from coracle.kube.kinds import pod as pods

MOST_PER_SLICE = 100
MOST_ADDRESSES = 1000  # that Endpoints hold; the slices have them all

OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"

Port = tuple[str, int, str]  # the service port's name, the pod's port, the protocol
Ports = tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Backend:
    """One pod behind a service.  `serving`: it is ready, though it may be on its way out."""

    ip: str
    node: str
    name: str
    namespace: str
    uid: str
    serving: bool
    terminating: bool = False
    publish: bool = False  # counts as ready whatever it says
    hostname: str = ""
    zone: str = ""

    @property
    def ready(self) -> bool:
        return self.publish or (self.serving and not self.terminating)


Groups = Mapping[Ports, Sequence[Backend]]


def groups(
    service: Object, candidates: Iterable[Object], zone_of: Callable[[str], str] = lambda _node: ""
) -> dict[Ports, list[Backend]]:
    """The pods behind `service` by the ports they offer; `candidates` match its selector.

    `zone_of`: the zone of a node, "" where nobody has said.
    """
    found: dict[Ports, list[Backend]] = {}
    for pod in sorted(candidates, key=lambda pod: pod.meta.name):
        if pod.status.get("podIP") and not pods.ended(pod):
            found.setdefault(_ports(service, pod), []).append(_backend(service, pod, zone_of))
    return found


def _backend(service: Object, pod: Object, zone_of: Callable[[str], str]) -> Backend:
    inside = pod.spec.get("subdomain") == service.meta.name
    return Backend(
        ip=pod.status["podIP"],
        node=pod.spec.get("nodeName") or "",
        name=pod.meta.name,
        namespace=pod.meta.namespace,
        uid=pod.meta.uid,
        serving=pods.ready(pod),
        terminating=bool(pod.meta.deleting),
        publish=bool(service.spec.get("publishNotReadyAddresses")),
        hostname=(pod.spec.get("hostname") or "") if inside else "",
        zone=zone_of(pod.spec.get("nodeName") or ""),
    )


def _ports(service: Object, pod: Object) -> Ports:
    """The service's ports as numbers of this pod; a name that the pod does not give to any port is left out."""
    found: list[Port] = []
    for port in service.spec.get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        number = _number(port.get("targetPort") or port["port"], protocol, pod)
        if number:
            found.append((port.get("name") or "", number, protocol))
    return tuple(found)


def _number(target: int | str, protocol: str, pod: Object) -> int:
    if isinstance(target, int):
        return target
    for container in pod.spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return 0


# -- Endpoints -------------------------------------------------------------------------------------------------------


def subsets(service: Object, found: Groups) -> list[Json]:
    """The `subsets` of Endpoints; pods on their way out are not in it.  At most 1,000 addresses, ready ones first."""
    staying = {ports: [one for one in found[ports] if one.publish or not one.terminating] for ports in sorted(found)}
    kept = _kept([one for group in staying.values() for one in group])
    made = []
    headless_ports = not service.spec.get("ports")
    for ports, group in staying.items():
        ready = [_address(backend) for backend in group if backend.ready and backend.uid in kept]
        unready = [_address(backend) for backend in group if not backend.ready and backend.uid in kept]
        if (ready or unready) and (ports or headless_ports):
            made.append(_subset(ready, unready, ports))
    return made


def _kept(backends: Sequence[Backend]) -> set[str]:
    ready_first = sorted(backends, key=lambda backend: not backend.ready)
    return {backend.uid for backend in ready_first[:MOST_ADDRESSES]}


def notes(found: Groups) -> dict[str, str]:
    """The annotations of Endpoints: that some addresses are left out."""
    staying = sum(one.publish or not one.terminating for group in found.values() for one in group)
    return {OVER_CAPACITY: "truncated"} if staying > MOST_ADDRESSES else {}


def _subset(ready: list[Json], unready: list[Json], ports: Ports) -> Json:
    return {
        **({"addresses": ready} if ready else {}),
        **({"notReadyAddresses": unready} if unready else {}),
        **({"ports": [_port(port) for port in ports]} if ports else {}),
    }


def _address(backend: Backend) -> Json:
    hostname = {"hostname": backend.hostname} if backend.hostname else {}
    node = {"nodeName": backend.node} if backend.node else {}
    return {"ip": backend.ip, **hostname, **node, "targetRef": _target(backend)}


def _target(backend: Backend) -> Json:
    return {"kind": "Pod", "namespace": backend.namespace, "name": backend.name, "uid": backend.uid}


def _port(port: Port) -> Json:
    name, number, protocol = port
    return {**({"name": name} if name else {}), "port": number, "protocol": protocol}


# -- EndpointSlices --------------------------------------------------------------------------------------------------


def contents(found: Groups, distribution: str = "") -> list[Json]:
    """What the slices of a service hold, one dictionary per slice; a service without pods has one empty slice.

    `distribution`: the service's `trafficDistribution`.
    """
    made: list[Json] = []
    for ports in sorted(found):
        backends = found[ports]
        for first in range(0, len(backends), MOST_PER_SLICE):
            part = backends[first : first + MOST_PER_SLICE]
            made.append(
                {"endpoints": [_endpoint(backend, distribution) for backend in part], "ports": _slice_ports(ports)}
            )
    return made or [{"endpoints": [], "ports": []}]


def _slice_ports(ports: Ports) -> list[Json]:
    return [{"name": name, "port": number, "protocol": protocol} for name, number, protocol in ports]


def _endpoint(backend: Backend, distribution: str) -> Json:
    hostname = {"hostname": backend.hostname} if backend.hostname else {}
    node = {"nodeName": backend.node} if backend.node else {}
    conditions = {"ready": backend.ready, "serving": backend.serving, "terminating": backend.terminating}
    zone = {"zone": backend.zone} if backend.zone else {}
    told = {"targetRef": _target(backend), **node, **zone, **_hints(backend, distribution)}
    return {"addresses": [backend.ip], "conditions": conditions, **hostname, **told}


def _hints(backend: Backend, distribution: str) -> Json:
    """For whom an endpoint is, where its service wants traffic to stay near."""
    zones = {"forZones": [{"name": backend.zone}]} if distribution and backend.zone else {}
    nodes = {"forNodes": [{"name": backend.node}]} if distribution == "PreferSameNode" and backend.node else {}
    return {"hints": {**zones, **nodes}} if zones or nodes else {}


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """New contents for slices that are there, contents to make slices for, and slices to remove."""

    change: tuple[tuple[Object, Json], ...] = ()
    make: tuple[Json, ...] = ()
    remove: tuple[Object, ...] = ()


def match(wanted: Sequence[Json], present: Sequence[Object]) -> SlicePlan:
    """Put `wanted` into the slices that are there, those with the same ports first, so that few of them change."""
    left, change, homeless = list(present), [], []
    for content in wanted:
        home = next((slice for slice in left if (slice.body.get("ports") or []) == content["ports"]), None)
        if home is None:
            homeless.append(content)
        else:
            left.remove(home)
            change.append((home, content))
    while homeless and left:
        change.append((left.pop(0), homeless.pop(0)))
    return SlicePlan(tuple(change), tuple(homeless), tuple(left))


def labels(service: Object) -> dict[str, str]:
    """The service's own labels, and the one that says it has no address."""
    headless: dict[str, Any] = {"service.kubernetes.io/headless": ""} if service.spec.get("clusterIP") == "None" else {}
    return {**service.meta.labels, **headless}
