"""EndpointSlice: some of the addresses behind a Service, with the state of each.

Source: Kubernetes discovery.k8s.io/v1 API, EndpointSlice; printed columns as `kubectl get endpointslices`.
"""

from __future__ import annotations

from coracle.core.errors import Problem, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import address, one_of, port_number

API = "discovery.k8s.io/v1"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MOST_ENDPOINTS = 1000  # that a slice may hold; the loop puts 100 in one
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_SHOWN = 3


def default(slice: Object) -> Object:
    body = {name: value for name, value in slice.body.items() if value is not None}
    filled = each(body, "ports", lambda port: absent(port, name="", protocol="TCP"))
    return Object(slice.kind, slice.meta, {"endpoints": [], **filled}, slice.api)


def validate(slice: Object) -> Problems:
    kind = slice.body.get("addressType")
    problems = one_of("addressType", kind, ADDRESS_TYPES)
    endpoints = slice.body.get("endpoints") or ()
    if len(endpoints) > MOST_ENDPOINTS:
        said = f"Too many: {len(endpoints)}: must have at most {MOST_ENDPOINTS} items"
        problems.append(Problem("endpoints", "too-many", said))
    for index, endpoint in enumerate(endpoints):
        at = f"endpoints[{index}].addresses"
        problems += [] if endpoint.get("addresses") else [required(at, "must contain at least 1 item")]
        if kind != "FQDN":
            for number, given in enumerate(endpoint.get("addresses") or ()):
                problems += address(f"{at}[{number}]", given)
    for index, port in enumerate(slice.body.get("ports") or ()):
        problems += port_number(f"ports[{index}].port", port["port"]) if port.get("port") is not None else []
        problems += one_of(f"ports[{index}].protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    return problems


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
