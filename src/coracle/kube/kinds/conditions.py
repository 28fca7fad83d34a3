"""What is said of an object: the conditions of its status, of which each type is there once.

Source: Kubernetes documentation, "API Conventions: Typical status properties".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.object import Json, Object


def condition(obj: Object, type: str) -> Mapping[str, Any]:
    """The object's condition of that type, empty where it has none."""
    return condition_in(obj.status.get("conditions"), type)


def condition_in(conditions: Iterable[Mapping[str, Any]] | None, type: str) -> Mapping[str, Any]:
    return next((entry for entry in conditions or () if entry.get("type") == type), {})


def is_so(obj: Object, type: str) -> bool:
    """Whether its condition of that type is true."""
    return condition(obj, type).get("status") == "True"


def with_condition(conditions: list[Json] | None, new: Json, now: str) -> list[Json]:
    """`conditions` with `new` in place of the one of its type; `lastTransitionTime` moves when its status does."""
    kept = list(conditions or ())
    index = next((i for i, entry in enumerate(kept) if entry.get("type") == new["type"]), len(kept))
    old = kept[index] if index < len(kept) else {}
    since = old.get("lastTransitionTime", now) if old.get("status") == new["status"] else now
    kept[index : index + 1] = [{**new, "lastTransitionTime": since}]
    return kept
