"""EndpointSlice: some of the addresses behind a Service, with the state of each.

Source: Kubernetes discovery.k8s.io/v1 API, EndpointSlice; printed columns as `kubectl get endpointslices`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coracle.core.errors import duplicate, invalid, required, too_many
from coracle.core.kind import Kind, Problems
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.addressrules import of_type, qualified
from coracle.kube.kinds.blanks import absent, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import one_of, optional_name, port_number

API = "discovery.k8s.io/v1"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MOST_ENDPOINTS = 1000  # that a slice may hold; the loop puts 100 in one
MOST_ADDRESSES, MOST_PORTS = 100, 20_000  # of an endpoint, of a slice
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_SHOWN = 3


def service_of(slice: Object, manager: str) -> Iterable[str]:
    """`namespace/name` of the Service that a slice is of, where `manager` keeps it; for an index."""
    name = slice.meta.labels.get(SERVICE_LABEL)
    return (f"{slice.meta.namespace}/{name}",) if name and slice.meta.labels.get(MANAGED_BY) == manager else ()


def default(slice: Object) -> Object:
    body = {name: value for name, value in slice.body.items() if value is not None}
    filled = each(body, "ports", lambda port: absent(port, name="", protocol="TCP"))
    return Object(slice.kind, slice.meta, {"endpoints": [], **filled}, slice.api)


def validate(slice: Object) -> Problems:
    kind = slice.body.get("addressType") or ""
    problems = one_of("addressType", kind, ADDRESS_TYPES)
    endpoints, ports = slice.body.get("endpoints") or (), slice.body.get("ports") or ()
    problems += _at_most("endpoints", endpoints, MOST_ENDPOINTS) + _at_most("ports", ports, MOST_PORTS)
    for index, endpoint in enumerate(endpoints):
        problems += _endpoint(f"endpoints[{index}]", endpoint, kind)
    names: set[str] = set()
    for index, port in enumerate(ports):
        problems += _port(f"ports[{index}]", port)
        if port.get("name") in names:
            problems.append(duplicate(f"ports[{index}].name", port.get("name")))
        names.add(port.get("name"))
    return problems


def _at_most(field: str, items: Sequence[Json], most: int) -> Problems:
    return [too_many(field, len(items), most)] if len(items) > most else []


def _endpoint(at: str, endpoint: Json, kind: str) -> Problems:
    given = endpoint.get("addresses") or []
    problems = [] if given else [required(f"{at}.addresses", "must contain at least 1 item")]
    problems += _at_most(f"{at}.addresses", given, MOST_ADDRESSES)
    if kind in ADDRESS_TYPES:
        for number, one in enumerate(given):
            problems += of_type(f"{at}.addresses[{number}]", one, kind)
    problems += optional_name("label", f"{at}.hostname", endpoint.get("hostname"))
    return problems + optional_name("subdomain", f"{at}.nodeName", endpoint.get("nodeName"))


def _port(at: str, port: Json) -> Problems:
    problems = optional_name("label", f"{at}.name", port.get("name"))
    problems += port_number(f"{at}.port", port["port"]) if port.get("port") is not None else []
    problems += one_of(f"{at}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    return problems + qualified(f"{at}.appProtocol", port.get("appProtocol"))


def validate_change(new: Object, old: Object, part: str) -> Problems:
    before, after = old.body.get("addressType"), new.body.get("addressType")
    return [] if before == after else [invalid("addressType", after, "field is immutable")]


def _type(slice: Object) -> str:
    return str(slice.body.get("addressType", ""))


def _addresses(slice: Object) -> str:
    endpoints = slice.body.get("endpoints") or ()
    listed = [given for endpoint in endpoints for given in endpoint.get("addresses") or ()]
    return printing.some(listed, _SHOWN) if listed else printing.UNSET


def _ports(slice: Object) -> str:
    ports = [str(port.get("port") or "*") for port in slice.body.get("ports") or ()]
    return printing.some(ports, _SHOWN) if ports else printing.UNSET


KIND = Kind(
    name="EndpointSlice",
    plural="endpointslices",
    singular="endpointslice",
    api=API,
    schema=schema(API, "EndpointSlice"),
    default=default,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("AddressType", _type),
        printing.text("Ports", _ports),
        printing.text("Endpoints", _addresses),
        printing.AGE,
    ),
    loop="coracle.kube.controllers.endpoints:EndpointsSync",
)
