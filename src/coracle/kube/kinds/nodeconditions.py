"""The taints that a node's conditions and its cordon give it.  Pure.

Source: Kubernetes documentation, "Taints and Tolerations: Taint based Evictions", "Taint Nodes by Condition".
"""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.object import Json, Object

PREFIX = "node.kubernetes.io/"
UNSCHEDULABLE, NOT_READY, UNREACHABLE = (PREFIX + name for name in ("unschedulable", "not-ready", "unreachable"))
# condition -> status -> key
_KEYS: Mapping[str, Mapping[str, str]] = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": PREFIX + "memory-pressure"},
    "DiskPressure": {"True": PREFIX + "disk-pressure"},
    "PIDPressure": {"True": PREFIX + "pid-pressure"},
    "NetworkUnavailable": {"True": PREFIX + "network-unavailable"},
}
_OURS = frozenset((UNSCHEDULABLE, *(key for keys in _KEYS.values() for key in keys.values())))


def taints(node: Object, now: str) -> list[Json]:
    """All taints that `node` should have: those that others gave it, and ours; `now` RFC 3339."""
    had = list(node.spec.get("taints") or ())
    wanted: list[Json] = [{"key": UNSCHEDULABLE, "effect": "NoSchedule"}] if node.spec.get("unschedulable") else []
    for condition in node.status.get("conditions") or ():
        key = _KEYS.get(condition.get("type", ""), {}).get(condition.get("status", ""))
        wanted += [{"key": key, "effect": "NoSchedule"}] if key else []
        wanted += [{"key": key, "effect": "NoExecute"}] if key in (NOT_READY, UNREACHABLE) else []
    names = [_name(taint) for taint in wanted]
    kept = [taint for taint in had if taint.get("key") not in _OURS or _name(taint) in names]
    present = [_name(taint) for taint in kept]
    return kept + [{**taint, "timeAdded": now} for taint in wanted if _name(taint) not in present]


def _name(taint: Json) -> tuple[str, str]:
    return str(taint.get("key")), str(taint.get("effect"))
