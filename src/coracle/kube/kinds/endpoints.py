"""Endpoints: the addresses behind a Service, in one object.  Older readers use it; see endpointslice.

Source: Kubernetes v1 API, Endpoints; printed columns as `kubectl get endpoints`.
"""

from __future__ import annotations

from collections.abc import Iterator

from coracle.core.errors import required
from coracle.core.kind import Kind, Problems
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.addressrules import qualified, reachable
from coracle.kube.kinds.blanks import blank, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import one_of, optional_name, port_number

_SHOWN = 3


def default(endpoints: Object) -> Object:
    body = {name: value for name, value in endpoints.body.items() if value is not None}
    filled = each(body, "subsets", lambda subset: each(subset, "ports", lambda port: blank(port, protocol="TCP")))
    return Object(endpoints.kind, endpoints.meta, filled, endpoints.api)


def validate(endpoints: Object) -> Problems:
    problems: Problems = []
    for index, subset in enumerate(endpoints.body.get("subsets") or ()):
        at = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            problems.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
        for name in ("addresses", "notReadyAddresses"):
            for number, entry in enumerate(subset.get(name) or ()):
                problems += _address(f"{at}.{name}[{number}]", entry)
        for number, port in enumerate(subset.get("ports") or ()):
            problems += _port(f"{at}.ports[{number}]", port, several=len(subset["ports"]) > 1)
    return problems


def _address(at: str, entry: Json) -> Problems:
    problems = reachable(f"{at}.ip", entry.get("ip") or "")
    problems += optional_name("label", f"{at}.hostname", entry.get("hostname"))
    return problems + optional_name("subdomain", f"{at}.nodeName", entry.get("nodeName"))


def _port(at: str, port: Json, *, several: bool) -> Problems:
    problems = [required(f"{at}.name")] if several and not port.get("name") else []
    problems += optional_name("label", f"{at}.name", port.get("name"))
    problems += port_number(f"{at}.port", port.get("port") or 0)
    problems += one_of(f"{at}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    return problems + qualified(f"{at}.appProtocol", port.get("appProtocol"))


def _listed(endpoints: Object) -> Iterator[str]:
    for subset in endpoints.body.get("subsets") or ():
        ports = subset.get("ports") or ()
        for entry in subset.get("addresses") or ():
            yield from [f"{entry['ip']}:{port['port']}" for port in ports] or [entry["ip"]]


KIND = Kind(
    name="Endpoints",
    plural="endpoints",
    singular="endpoints",
    short=("ep",),
    schema=schema("v1", "Endpoints"),
    default=default,
    validate=validate,
    columns=(
        printing.NAME,
        printing.text("Endpoints", lambda endpoints: printing.some(list(_listed(endpoints)), _SHOWN)),
        printing.AGE,
    ),
    counts_generations=False,
    loop="coracle.kube.controllers.endpoints:EndpointsSync",
)
