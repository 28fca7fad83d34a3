"""The fields of ingresses by their Protobuf numbers, as `kubectl create ingress` sends them.

Source: generated.proto of networking/v1 and core/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.kube.api.podproto import META, inlined
from coracle.wire.protobuf import As

_PORT = {1: ("name", "text"), 2: ("number", "number")}
_RESOURCE = {1: ("apiGroup", "string"), 2: ("kind", "string"), 3: ("name", "string")}
_BACKEND = {3: ("resource", _RESOURCE), 4: ("service", {1: ("name", "string"), 2: ("port", _PORT)})}
_PATH = {1: ("path", "text"), 2: ("backend", _BACKEND), 3: ("pathType", "string")}
_RULE = As({1: ("host", "text"), 2: ("*", {1: ("http", {1: ("paths", [_PATH])})})}, inlined)
_INGRESS = {
    1: ("defaultBackend", _BACKEND), 2: ("tls", [{1: ("hosts", ["string"]), 2: ("secretName", "text")}]),
    3: ("rules", [_RULE]), 4: ("ingressClassName", "string"),
}  # fmt: skip
TABLES: Mapping[tuple[str, str], Mapping[int, tuple[str, Any]]] = {
    ("networking.k8s.io/v1", "Ingress"): {1: ("metadata", META), 2: ("spec", _INGRESS)},
}
