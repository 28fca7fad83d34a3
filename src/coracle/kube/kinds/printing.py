"""How values are printed in tables: ages, labels, and the columns that every kind has.

Source: apimachinery's `duration.HumanDuration`; kubectl's output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.kind import Column
from coracle.core.object import Object

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def human(seconds_s: float) -> str:
    """`45s`, `2m5s`, `45m`, `7h45m`, `45h`, `5d13h`, `45d`, `2y45d`: two units while the first one is small."""
    whole = int(seconds_s)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    for limit, unit, sign, rest, rest_sign in _STEPS:
        if whole < limit:
            return _pair(whole, unit, sign, rest, rest_sign)
    return f"{whole // _YEAR}y"


# Below `limit` (seconds), write in `unit`, and the rest in `rest` where there is any (0: never).
_STEPS = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def _pair(whole: int, unit: int, sign: str, rest: int, rest_sign: str) -> str:
    left = whole % unit // rest if rest else 0
    return f"{whole // unit}{sign}{left}{rest_sign}" if left else f"{whole // unit}{sign}"


def since(moment: str | None, now_s: float) -> str:
    """The age of an RFC 3339 moment, `<unknown>` where there is none."""
    return human(now_s - from_rfc3339(moment)) if moment else UNKNOWN


def labels(wanted: Mapping[str, str] | None) -> str:
    """`app=web,tier=db`, in order of the keys."""
    return ",".join(f"{key}={value}" for key, value in sorted((wanted or {}).items())) or NONE


def some(items: Sequence[str], most: int) -> str:
    """The first few, and how many more: `a,b,c + 2 more...`."""
    if not items:
        return NONE
    more = f" + {len(items) - most} more..." if len(items) > most else ""
    return ",".join(items[:most]) + more


def joined(items: Iterable[str]) -> str:
    return ",".join(items)


NAME = Column(
    "Name", lambda obj, _now: obj.meta.name, format="name",
    description="Name must be unique within a namespace.",
)  # fmt: skip
AGE = Column(
    "Age", lambda obj, now_s: since(obj.meta.created, now_s),
    description="CreationTimestamp is a timestamp representing the server time when this object was created.",
)  # fmt: skip


def text(name: str, cell: Callable[[Object], Any], description: str = "", priority: int = 0) -> Column:
    return Column(name, lambda obj, _now: cell(obj), "string", "", description, priority)


def wide(name: str, cell: Callable[[Object], Any], description: str = "") -> Column:
    """A column shown with `-o wide` only."""
    return text(name, cell, description, 1)


def number(name: str, cell: Callable[[Object], int], description: str = "") -> Column:
    return Column(name, lambda obj, _now: cell(obj), "integer", "", description)


def truth(name: str, cell: Callable[[Object], bool], description: str = "") -> Column:
    return Column(name, lambda obj, _now: cell(obj), "boolean", "", description)


def containers(template: Mapping[str, Any] | None) -> tuple[str, str]:
    """The names and the images of a pod template's containers."""
    found = ((template or {}).get("spec") or {}).get("containers") or []
    return joined(c["name"] for c in found), joined(c.get("image", "") for c in found)
