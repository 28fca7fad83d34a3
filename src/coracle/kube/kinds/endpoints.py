"""Endpoints: the addresses behind a Service, in one object.  Older readers use it; see endpointslice.

Source: Kubernetes v1 API, Endpoints; printed columns as `kubectl get endpoints`.
"""

from __future__ import annotations

from collections.abc import Iterator

from coracle.core.errors import required
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import blank, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import address, one_of, port_number

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
                problems += address(f"{at}.{name}[{number}].ip", entry.get("ip") or "")
        for number, port in enumerate(subset.get("ports") or ()):
            here = f"{at}.ports[{number}]"
            problems += [required(f"{here}.name")] if len(subset["ports"]) > 1 and not port.get("name") else []
            problems += port_number(f"{here}.port", port.get("port") or 0)
            problems += one_of(f"{here}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    return problems


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
