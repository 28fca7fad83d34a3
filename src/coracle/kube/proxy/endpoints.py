"""Which addresses stand behind a Service: read from its EndpointSlices, or from Endpoints where there are no slices.

Pure; used by the Forwards (services.py) and by the names (names.py).
Source: Kubernetes documentation, "EndpointSlices".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core.informer import Index, Informer
from coracle.core.object import Key, Object
from coracle.core.store import Event

SERVICE, ENDPOINTS, SLICE = "Service", "Endpoints", "EndpointSlice.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a Service.  `ports`: by the service port's name ("" where it has none) -> port number."""

    address: str
    ports: Mapping[str, int]
    ready: bool = True
    hostname: str = ""


def _service_text(slice: Object) -> Iterable[str]:
    name = slice.meta.labels.get(SERVICE_NAME)
    return (f"{slice.meta.namespace}/{name}",) if name else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {SLICE: {"service": _service_text}}


def to_service(event: Event) -> Iterable[Key]:
    """The Service that a changed EndpointSlice belongs to, or belonged to."""
    entries = [entry for entry in (event.entry, event.before) if entry is not None]
    return {Key(entry.key.namespace, entry.labels[SERVICE_NAME]) for entry in entries if SERVICE_NAME in entry.labels}


def endpoints(slices: Sequence[Object], old: Object | None) -> list[Endpoint]:
    """Every address, each once; `old` is the Endpoints object of the Service's name."""
    found = [one for slice in slices for one in _of_slice(slice)] if slices else list(_of_endpoints(old))
    merged: dict[tuple[str, str], Endpoint] = {}
    for one in found:
        before = merged.get((one.address, one.hostname))
        ports = {**before.ports, **one.ports} if before is not None else one.ports
        ready = one.ready or (before is not None and before.ready)
        merged[one.address, one.hostname] = Endpoint(one.address, ports, ready, one.hostname)
    return list(merged.values())


def _of_slice(slice: Object) -> Iterable[Endpoint]:
    if slice.body.get("addressType", "IPv4") != "IPv4":
        return
    ports = {port.get("name") or "": port["port"] for port in slice.body.get("ports") or () if port.get("port")}
    for endpoint in slice.body.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        ready = conditions.get("ready") is not False  # absent counts as ready
        for address in endpoint.get("addresses") or ():
            yield Endpoint(address, ports, ready, endpoint.get("hostname") or "")


def _of_endpoints(old: Object | None) -> Iterable[Endpoint]:
    for subset in (old.body.get("subsets") or ()) if old is not None else ():
        ports = {port.get("name") or "": port["port"] for port in subset.get("ports") or ()}
        for which, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(which) or ():
                yield Endpoint(address["ip"], ports, ready, address.get("hostname") or "")


class Backends:
    """What stands behind each Service, from the caches (with INDEXES)."""

    def __init__(self, slices: Informer, endpoints: Informer) -> None:
        self._slices, self._endpoints = slices, endpoints

    def of(self, service: Key) -> list[Endpoint]:
        slices = self._slices.by("service", f"{service.namespace}/{service.name}")
        return endpoints(slices, self._endpoints.find(service) if not slices else None)


def headless(service: Object) -> bool:
    return service.spec.get("clusterIP") == "None"


def ports_of(service: Object) -> list[Mapping[str, Any]]:
    return list(service.spec.get("ports") or ())
