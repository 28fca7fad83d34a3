"""What each type of Service has and what it has not, and what is let go of when the type changes.

                  cluster IP    node ports                          health port
    ClusterIP     yes           no                                  no
    NodePort      yes           yes                                 no
    LoadBalancer  yes           unless told not to allocate them    with externalTrafficPolicy Local
    ExternalName  no            no                                  no

A field of the old type that is sent unchanged with the new one (as `kubectl patch` does) is dropped; one that is said
anew is held to the rules of the new type.

Source: Kubernetes v1 API, ServiceSpec; the API server's behaviour when `type` changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.object import Json
from coracle.kube.kinds.blanks import each

_ADDRESS_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")


def headless(spec: Mapping[str, Any]) -> bool:
    return spec.get("clusterIP") == "None"


def has_address(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") != "ExternalName"


def balances(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "LoadBalancer"


def opens_node_ports(spec: Mapping[str, Any]) -> bool:
    """Whether every port of the service is to be had on the nodes."""
    return spec.get("type") == "NodePort" or (balances(spec) and spec.get("allocateLoadBalancerNodePorts") is not False)


def may_have_node_ports(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def externally_open(spec: Mapping[str, Any]) -> bool:
    return may_have_node_ports(spec) or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


def answers_health_checks(spec: Mapping[str, Any]) -> bool:
    """Whether balancers outside ask each node if it has a pod of the service (`healthCheckNodePort`)."""
    return balances(spec) and spec.get("externalTrafficPolicy") == "Local"


def let_go(spec: Json, before: Mapping[str, Any]) -> Json:
    """`spec` without what only its former type `before` had, where it is as it was."""
    for needs, names in (
        (has_address, _ADDRESS_FIELDS),
        (balances, ("allocateLoadBalancerNodePorts", "loadBalancerClass")),
        (answers_health_checks, ("healthCheckNodePort",)),
        (externally_open, ("externalTrafficPolicy",)),
    ):
        if needs(before) and not needs(spec):
            spec = {name: v for name, v in spec.items() if name not in names or (v and v != before.get(name))}
    if may_have_node_ports(before) and not may_have_node_ports(spec):
        held = {(port.get("protocol"), port.get("nodePort")) for port in before.get("ports") or ()}
        spec = each(spec, "ports", lambda port: _without_node_port(port, held))
    return spec


def _without_node_port(port: Json, held: set[Any]) -> Json:
    kept = (port.get("protocol"), port.get("nodePort")) not in held
    return {name: value for name, value in port.items() if name != "nodePort" or kept}
