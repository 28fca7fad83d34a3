"""The fields of services, what is behind them, ingresses and policies, by their Protobuf numbers.

Source: generated.proto of core/v1, discovery/v1, networking/v1 and meta/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.kube.api.podproto import INT_OR_STRING, META, SELECTOR, TIME, Table, inlined
from coracle.wire.protobuf import As, Map

_NAMED = {1: ("name", "string")}
_CONDITION = {
    1: ("type", "string"), 2: ("status", "string"), 3: ("observedGeneration", "number"),
    4: ("lastTransitionTime", TIME), 5: ("reason", "string"), 6: ("message", "string"),
}  # fmt: skip
_PORT_STATUS = {1: ("port", "int"), 2: ("protocol", "string"), 3: ("error", "string")}

# -- services ----------------------------------------------------------------------------------------------------------

_PORT = {
    1: ("name", "text"), 2: ("protocol", "text"), 3: ("port", "int"), 4: ("targetPort", INT_OR_STRING),
    5: ("nodePort", "number"), 6: ("appProtocol", "string"),
}  # fmt: skip
_SERVICE = {
    1: ("ports", [_PORT]), 2: ("selector", Map("string")), 3: ("clusterIP", "text"), 4: ("type", "text"),
    5: ("externalIPs", ["string"]), 7: ("sessionAffinity", "text"), 8: ("loadBalancerIP", "text"),
    9: ("loadBalancerSourceRanges", ["string"]), 10: ("externalName", "text"), 11: ("externalTrafficPolicy", "text"),
    12: ("healthCheckNodePort", "number"), 13: ("publishNotReadyAddresses", "flag"),
    14: ("sessionAffinityConfig", {1: ("clientIP", {1: ("timeoutSeconds", "int")})}),
    17: ("ipFamilyPolicy", "string"), 18: ("clusterIPs", ["string"]), 19: ("ipFamilies", ["string"]),
    20: ("allocateLoadBalancerNodePorts", "bool"), 21: ("loadBalancerClass", "string"),
    22: ("internalTrafficPolicy", "string"), 23: ("trafficDistribution", "string"),
}  # fmt: skip
_BALANCER = {1: ("ip", "text"), 2: ("hostname", "text"), 3: ("ipMode", "string"), 4: ("ports", [_PORT_STATUS])}
_SERVICE_STATUS = {1: ("loadBalancer", {1: ("ingress", [_BALANCER])}), 2: ("conditions", [_CONDITION])}

# -- what is behind them -----------------------------------------------------------------------------------------------

_REFERENCE = {
    1: ("kind", "text"), 2: ("namespace", "text"), 3: ("name", "text"), 4: ("uid", "text"), 5: ("apiVersion", "text"),
    6: ("resourceVersion", "text"), 7: ("fieldPath", "text"),
}  # fmt: skip
_ADDRESS = {1: ("ip", "string"), 2: ("targetRef", _REFERENCE), 3: ("hostname", "text"), 4: ("nodeName", "string")}
_ENDPOINT_PORT = {1: ("name", "text"), 2: ("port", "int"), 3: ("protocol", "text"), 4: ("appProtocol", "string")}
_SUBSET = {1: ("addresses", [_ADDRESS]), 2: ("notReadyAddresses", [_ADDRESS]), 3: ("ports", [_ENDPOINT_PORT])}
_STATES = {1: ("ready", "bool"), 2: ("serving", "bool"), 3: ("terminating", "bool")}
_ENDPOINT = {
    1: ("addresses", ["string"]), 2: ("conditions", _STATES),
    3: ("hostname", "string"), 4: ("targetRef", _REFERENCE), 5: ("deprecatedTopology", Map("string")),
    6: ("nodeName", "string"), 7: ("zone", "string"),
    8: ("hints", {1: ("forZones", [_NAMED]), 2: ("forNodes", [_NAMED])}),
}  # fmt: skip
_SLICE_PORT = {1: ("name", "string"), 2: ("protocol", "string"), 3: ("port", "int"), 4: ("appProtocol", "string")}

# -- ingresses ---------------------------------------------------------------------------------------------------------

_RESOURCE = {1: ("apiGroup", "string"), 2: ("kind", "string"), 3: ("name", "string")}
_BACKEND_PORT = {1: ("name", "text"), 2: ("number", "number")}
_BACKEND = {3: ("resource", _RESOURCE), 4: ("service", {1: ("name", "string"), 2: ("port", _BACKEND_PORT)})}
_PATH = {1: ("path", "text"), 2: ("backend", _BACKEND), 3: ("pathType", "string")}
_RULE = As({1: ("host", "text"), 2: ("*", {1: ("http", {1: ("paths", [_PATH])})})}, inlined)
_INGRESS = {
    1: ("defaultBackend", _BACKEND), 2: ("tls", [{1: ("hosts", ["string"]), 2: ("secretName", "text")}]),
    3: ("rules", [_RULE]), 4: ("ingressClassName", "string"),
}  # fmt: skip
_INGRESS_POINT = {1: ("ip", "text"), 2: ("hostname", "text"), 4: ("ports", [_PORT_STATUS])}
_PARAMETERS = {**_RESOURCE, 4: ("scope", "string"), 5: ("namespace", "string")}

# -- policies ----------------------------------------------------------------------------------------------------------

_PEER = {
    1: ("podSelector", SELECTOR), 2: ("namespaceSelector", SELECTOR),
    3: ("ipBlock", {1: ("cidr", "string"), 2: ("except", ["string"])}),
}  # fmt: skip
_POLICY_PORT = {1: ("protocol", "string"), 2: ("port", INT_OR_STRING), 3: ("endPort", "int")}
_POLICY = {
    1: ("podSelector", SELECTOR), 2: ("ingress", [{1: ("ports", [_POLICY_PORT]), 2: ("from", [_PEER])}]),
    3: ("egress", [{1: ("ports", [_POLICY_PORT]), 2: ("to", [_PEER])}]), 4: ("policyTypes", ["string"]),
}  # fmt: skip
_PARENT = {1: ("group", "text"), 2: ("resource", "string"), 3: ("namespace", "text"), 4: ("name", "string")}
_API = "networking.k8s.io/v1"


def _kind(spec: Table, status: Table | None = None) -> Table:
    told: Table = {1: ("metadata", META), 2: ("spec", spec)}
    return {**told, 3: ("status", status)} if status else told


TABLES: Mapping[tuple[str, str], Mapping[int, tuple[str, Any]]] = {
    ("v1", "Service"): _kind(_SERVICE, _SERVICE_STATUS),
    ("v1", "Endpoints"): {1: ("metadata", META), 2: ("subsets", [_SUBSET])},
    ("discovery.k8s.io/v1", "EndpointSlice"): {
        1: ("metadata", META), 2: ("endpoints", [_ENDPOINT]), 3: ("ports", [_SLICE_PORT]), 4: ("addressType", "string"),
    },
    (_API, "Ingress"): _kind(_INGRESS, {1: ("loadBalancer", {1: ("ingress", [_INGRESS_POINT])})}),
    (_API, "IngressClass"): _kind({1: ("controller", "string"), 2: ("parameters", _PARAMETERS)}),
    (_API, "NetworkPolicy"): _kind(_POLICY),
    (_API, "IPAddress"): _kind({1: ("parentRef", _PARENT)}),
    (_API, "ServiceCIDR"): _kind({1: ("cidrs", ["string"])}, {1: ("conditions", [_CONDITION])}),
}  # fmt: skip
