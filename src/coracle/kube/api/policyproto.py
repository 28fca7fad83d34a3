"""The fields of quotas, limits, budgets and priorities, by their Protobuf numbers.

Source: generated.proto of core/v1, policy/v1 and scheduling/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.kube.api.podproto import INT_OR_STRING, META, QUANTITY, SELECTOR
from coracle.wire.protobuf import Map

_AMOUNTS = Map(QUANTITY)
_SCOPE = {1: ("scopeName", "string"), 2: ("operator", "string"), 3: ("values", ["string"])}
_QUOTA = {
    1: ("hard", _AMOUNTS), 2: ("scopes", ["string"]), 3: ("scopeSelector", {1: ("matchExpressions", [_SCOPE])}),
}  # fmt: skip
_LIMIT = {
    1: ("type", "string"), 2: ("max", _AMOUNTS), 3: ("min", _AMOUNTS), 4: ("default", _AMOUNTS),
    5: ("defaultRequest", _AMOUNTS), 6: ("maxLimitRequestRatio", _AMOUNTS),
}  # fmt: skip
_BUDGET = {
    1: ("minAvailable", INT_OR_STRING), 2: ("selector", SELECTOR), 3: ("maxUnavailable", INT_OR_STRING),
    4: ("unhealthyPodEvictionPolicy", "string"),
}  # fmt: skip
TABLES: Mapping[tuple[str, str], Mapping[int, tuple[str, Any]]] = {
    ("v1", "ResourceQuota"): {1: ("metadata", META), 2: ("spec", _QUOTA)},
    ("v1", "LimitRange"): {1: ("metadata", META), 2: ("spec", {1: ("limits", [_LIMIT])})},
    ("policy/v1", "PodDisruptionBudget"): {1: ("metadata", META), 2: ("spec", _BUDGET)},
    ("scheduling.k8s.io/v1", "PriorityClass"): {
        1: ("metadata", META), 2: ("value", "int"), 3: ("globalDefault", "bool"), 4: ("description", "text"),
        5: ("preemptionPolicy", "string"),
    },
}  # fmt: skip
