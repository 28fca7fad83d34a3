"""Protocol Buffers into plain values, for messages whose fields are told by a table.  Pure; reading only.

A table maps the number of a field to its name and type: "string", "bytes" (as base64 text), "int", "bool", another
table (a message), a list of one type (repeated), or a Map of a type (map<string, type>).  "text", "number" and "flag"
are a string, an int and a bool of which "", 0 and false are as good as absent.

Source: Protocol Buffers, "Encoding".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_VARINT, _EIGHT_BYTES, _COUNTED, _FOUR_BYTES = 0, 1, 2, 5
_DEEPEST = 100
_QUIET = {"text": "string", "number": "int", "flag": "bool"}


@dataclass(frozen=True, slots=True)
class Map:
    """map<string, value>."""

    value: Any


@dataclass(frozen=True, slots=True)
class As:
    """A message that JSON writes otherwise than as an object: `table` read, then `shape` applied."""

    table: Mapping[int, tuple[str, Any]]
    shape: Callable[[dict[str, Any]], Any]


def read(raw: bytes, table: Mapping[int, tuple[str, Any]], depth: int = 0) -> dict[str, Any]:
    """The message in `raw`.  Fields that the table does not have are passed over.  Raises ValueError."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    found: dict[str, Any] = {}
    for number, value in fields(raw):
        if number not in table:
            continue
        name, type = table[number]
        if isinstance(type, list):
            found.setdefault(name, []).append(_value(type[0], value, depth))
        elif isinstance(type, Map):
            entry = read(_counted(value), {1: ("key", "string"), 2: ("value", type.value)}, depth + 1)
            found.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
        elif isinstance(type, str) and type in _QUIET:
            _set_if_said(found, name, _value(_QUIET[type], value, depth))
        else:
            found[name] = _value(type, value, depth)
    return found


def _set_if_said(found: dict[str, Any], name: str, value: Any) -> None:
    if value:
        found[name] = value


def _value(type: Any, value: int | bytes, depth: int) -> Any:
    if type == "string":
        return _counted(value).decode()
    if type == "bytes":
        return base64.b64encode(_counted(value)).decode()
    if type in ("int", "bool"):
        if not isinstance(value, int):
            raise ValueError("a number is expected")
        return bool(value) if type == "bool" else value - (1 << 64) if value >> 63 else value
    if isinstance(type, As):
        return type.shape(read(_counted(value), type.table, depth + 1))
    return read(_counted(value), type, depth + 1)


def _counted(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("bytes are expected")
    return value


def fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, what it holds) of each field, in order.  Raises ValueError."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(wire)
        if wire == _COUNTED:
            size, at = _varint(raw, at)
        if size is None or at + size > len(raw):
            raise ValueError("cut short, or of an unknown encoding")
        yield number, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise ValueError("cut short in a number")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value & ((1 << 64) - 1), at
        shift += 7
