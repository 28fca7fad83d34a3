"""Which addresses stand behind a Service, read from its EndpointSlices, and which of them are used.

Pure; used by the Forwards (services.py), the names (names.py) and the health ports (health.py).
Source: Kubernetes documentation, "EndpointSlices", "Virtual IPs and Service Proxies" (traffic policies, terminating
endpoints).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from coracle.core.informer import Index, Informer
from coracle.core.object import Key, Object
from coracle.core.store import Event

SERVICE, ENDPOINTS, SLICE = "Service", "Endpoints", "EndpointSlice.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
_OTHERS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")


@dataclass(frozen=True, slots=True)
class Place:
    """The node that we forward on: its name, and its address towards others."""

    node: str
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a Service.  `ports`: by the service port's name ("" where it has none) -> port number.

    serving      it is ready, though it may be on its way out (`terminating`)
    node         where it is; "": nobody says
    """

    address: str
    ports: Mapping[str, int]
    ready: bool = True
    hostname: str = ""
    serving: bool = True
    terminating: bool = False
    node: str = ""


def _service_text(slice: Object) -> Iterable[str]:
    name = slice.meta.labels.get(SERVICE_NAME)
    return (f"{slice.meta.namespace}/{name}",) if name else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {SLICE: {"service": _service_text}}


def to_service(event: Event) -> Iterable[Key]:
    """The Service that a changed EndpointSlice belongs to, or belonged to."""
    entries = [entry for entry in (event.entry, event.before) if entry is not None]
    return {Key(entry.key.namespace, entry.labels[SERVICE_NAME]) for entry in entries if SERVICE_NAME in entry.labels}


def endpoints(slices: Iterable[Object]) -> list[Endpoint]:
    """Every address of every slice; one that several slices have is there several times."""
    return [one for slice in slices for one in _of_slice(slice)]


def _of_slice(slice: Object) -> Iterable[Endpoint]:
    if slice.body.get("addressType", "IPv4") != "IPv4":
        return
    ports = {port.get("name") or "": port["port"] for port in slice.body.get("ports") or () if port.get("port")}
    for endpoint in slice.body.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        ready = conditions.get("ready") is not False  # absent counts as ready
        serving = ready if conditions.get("serving") is None else bool(conditions["serving"])
        terminating, hostname = bool(conditions.get("terminating")), endpoint.get("hostname") or ""
        for address in (endpoint.get("addresses") or ())[:1]:  # more are one endpoint's other names
            yield Endpoint(address, ports, ready, hostname, serving, terminating, endpoint.get("nodeName") or "")


def used(behind: Sequence[Endpoint], port_name: str, node: str = "") -> list[Endpoint]:
    """Who is asked at that port: those that are ready, or where nobody is, those that still serve on their way out.

    `node`: of that node only.
    """
    offering = [one for one in behind if port_name in one.ports and (not node or one.node == node)]
    return [one for one in offering if one.ready] or [one for one in offering if one.serving and one.terminating]


class Backends:
    """What stands behind each Service, from the cache (with INDEXES)."""

    def __init__(self, slices: Informer) -> None:
        self._slices = slices

    def of(self, service: Key) -> list[Endpoint]:
        return endpoints(self._slices.by("service", f"{service.namespace}/{service.name}"))


def headless(service: Object) -> bool:
    return service.spec.get("clusterIP") == "None"


def ours(service: Object) -> bool:
    """Whether it is ours to forward: it has an address, and names no other proxy."""
    other = any(label in service.meta.labels for label in _OTHERS)
    return not other and not headless(service) and service.spec.get("type") != "ExternalName"


def ports_of(service: Object) -> list[Mapping[str, Any]]:
    return list(service.spec.get("ports") or ())
