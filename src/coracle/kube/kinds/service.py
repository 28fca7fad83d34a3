"""Service: one address and name for the pods that match a selector.

Its cluster IP and node ports are claims: no two services, and nothing else that claims ports, ever hold the same one.

Source: Kubernetes v1 API, Service; printed columns as `kubectl get services`.
"""

from __future__ import annotations

import ipaddress

from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent, blank, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.serviceranges import Ranges
from coracle.kube.kinds.servicerules import changed, problems, status_problems
from coracle.kube.kinds.servicetypes import externally_open

AFFINITY_S = 10800  # three hours: how long a client stays with its pod


def default(service: Object) -> Object:
    spec = blank(service.body.get("spec"), type="ClusterIP", sessionAffinity="None")
    spec = each(spec, "ports", lambda port: blank(port, protocol="TCP", targetPort=port.get("port")))
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        given = (spec.get("sessionAffinityConfig") or {}).get("clientIP")
        spec["sessionAffinityConfig"] = {"clientIP": absent(given, timeoutSeconds=AFFINITY_S)}
    if externally_open(spec):
        spec = blank(spec, externalTrafficPolicy="Cluster")
    if spec["type"] != "ExternalName":
        spec = absent(spec, internalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        spec = absent(spec, allocateLoadBalancerNodePorts=True)
    if not spec.get("clusterIP") and spec.get("clusterIPs"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    return service.with_body(spec=spec, status={"loadBalancer": {}, **service.status})


def default_status(service: Object) -> Object:
    """Balancers whose packets come as they were sent, unless it is said otherwise."""
    balancer = dict(service.status.get("loadBalancer") or {})
    balancer = each(balancer, "ingress", lambda one: absent(one, ipMode="VIP") if one.get("ip") else one)
    return service.with_status(loadBalancer=balancer)


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return status_problems(new) if part == "status" else changed(new.spec, old.spec)


def _external(service: Object) -> str:
    spec, addresses = service.spec, list(service.spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    if spec.get("type") == "LoadBalancer":
        given = (service.status.get("loadBalancer") or {}).get("ingress") or ()
        addresses = [*sorted(entry.get("ip") or entry.get("hostname") for entry in given), *addresses]
        return ",".join(addresses) or "<pending>"
    return ",".join(addresses) or printing.NONE


def _ports(service: Object) -> str:
    pieces = []
    for port in service.spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        pieces.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(pieces) or printing.NONE


def kind(addresses: str = "100.64.0.0/16", node_ports: tuple[int, int] = (30000, 32767)) -> Kind:
    """The kind Service of a cluster that takes cluster IPs from `addresses` and node ports from that range."""
    ranges = Ranges(ipaddress.IPv4Network(addresses), node_ports)
    return Kind(
        name="Service",
        plural="services",
        singular="service",
        short=("svc",),
        categories=("all",),
        schema=schema("v1", "Service"),
        default=default,
        default_status=default_status,
        assign=ranges.assign,
        validate=problems,
        validate_change=validate_change,
        claims=ranges.claims,
        fields={
            "spec.clusterIP": lambda service: str(service.spec.get("clusterIP") or ""),
            "spec.type": lambda service: str(service.spec.get("type") or ""),
        },
        columns=(
            printing.NAME,
            printing.text("Type", lambda service: service.spec.get("type", ""), "How the service is to be had."),
            printing.text("Cluster-IP", lambda service: service.spec.get("clusterIP") or printing.NONE),
            printing.text("External-IP", _external),
            printing.text("Port(s)", _ports),
            printing.AGE,
            printing.wide("Selector", lambda service: printing.labels(service.spec.get("selector"))),
        ),
        subresources=frozenset(("proxy", "status")),
        name_rule="label-1035",
        counts_generations=False,
        loop="coracle.kube.controllers.endpoints:EndpointsSync",
    )


KIND = kind()
