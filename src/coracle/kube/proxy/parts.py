"""The proxy's loops and servers, joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import Reconciler
from coracle.core.tasks import Part
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.proxy import balancers, endpoints
from coracle.kube.proxy.balancers import Balancers, Ground, TryPort
from coracle.kube.proxy.endpoints import SERVICE, SLICE, Backends, Place
from coracle.kube.proxy.health import HealthPorts
from coracle.kube.proxy.hostports import HostPorts
from coracle.kube.proxy.names import PodNames, ServiceNames
from coracle.kube.proxy.services import ServiceProxy
from coracle.net.forwards import Forwards
from coracle.net.names import Names

__all__ = ["INDEXES", "SPEAKERS", "Place", "Proxy", "Wires", "proxy"]

INDEXES: Mapping[str, Mapping[str, Index]] = {**endpoints.INDEXES, **balancers.INDEXES}
SPEAKERS = ("kube-proxy", "service-controller")  # as Events name who speaks


@dataclass(frozen=True, slots=True)
class Wires:
    """What the proxy works on: the host's ports, the names, and where in the network it is.

    `services`: the range of the cluster IPs.  `domain`: `cluster.local`.
    """

    forwards: Forwards
    try_port: TryPort
    names: Names
    place: Place
    services: IPv4Network
    domain: str


@dataclass(frozen=True, slots=True)
class Proxy:
    """`parts` have to run before the loops do."""

    parts: tuple[Part, ...]
    loops: tuple[Reconciler, ...]


def proxy(
    caches: Mapping[str, Informer], writer: Collection, recorders: Mapping[str, EventRecorder], wires: Wires
) -> Proxy:
    """`writer`: of Services.  `recorders` by the names in SPEAKERS."""
    recorder = recorders["kube-proxy"]
    services, behind = caches[SERVICE], Backends(caches[SLICE])
    health = HealthPorts(services, behind, recorder, wires.place)
    ground = Ground(wires.place, wires.services, wires.forwards, wires.try_port)
    loops: tuple[Reconciler, ...] = (
        Balancers(services, writer, recorders["service-controller"], ground),
        ServiceProxy(services, behind, wires.forwards, recorder, wires.place),
        HostPorts(caches["Pod"], wires.forwards, recorder),
        ServiceNames(services, behind, wires.names, wires.domain),
        PodNames(caches["Pod"], wires.names, wires.domain),
        health,
    )
    return Proxy((health,), loops)
