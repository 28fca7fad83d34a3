"""Why Go cannot take a document of maps and lists as one of its types: the words of strategic merge patches.

Source: apimachinery's runtime.DefaultUnstructuredConverter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coracle.core.schema import ANY, Schema

_CONTAINERS: dict[str, tuple[type[dict[str, Any]] | type[list[Any]], str]] = {
    "object": (dict, "cannot restore struct from: "),
    "map": (dict, "cannot restore map from "),
    "array": (list, "cannot restore slice from "),
}
_PLAIN = ("string", "bool", "int32", "int64", "float64")
_INTEGERS = ("int32", "int64")


def fault(schema: Schema, value: Any) -> str:
    """The first that is wrong, "" where nothing is.  Types that read themselves (times, amounts) are not looked at."""
    return "" if schema.fits(value) else next(_faults(schema, value), "")


def _faults(schema: Schema, value: Any) -> Iterator[str]:
    if value is None:
        return
    if schema.type in _PLAIN and not schema.fits(value):
        yield _plain(schema.type, value)
    if schema.type not in _CONTAINERS:
        return
    wanted, said = _CONTAINERS[schema.type]
    if not isinstance(value, wanted):
        yield said + _go_kind(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _faults(schema.child(name), item)
    else:
        for item in value:
            yield from _faults(schema.items or ANY, item)


def _plain(type: str, value: Any) -> str:
    """Go converts between numbers, and whole numbers to text, and refuses what would not be the same."""
    convertible = (type == "string" and _go_kind(value) == "int64") or (type in _INTEGERS and isinstance(value, float))
    return f"cannot convert {_go_kind(value)} to {type}" if convertible else f"unrecognized type: {type}"


def _go_kind(value: Any) -> str:
    """reflect.Kind of what encoding/json makes of it, with whole numbers kept apart."""
    if isinstance(value, bool):
        return "bool"
    return {str: "string", dict: "map", list: "slice", int: "int64"}.get(type(value), "float64")
