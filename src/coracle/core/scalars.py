"""The leaves of documents: strings, numbers and the texts that mean something (times, quantities, bytes).

Each has a quick test, Go's complaint where that is not the usual one, the zero that stands for null in a list or map,
and where the API writes what it was given in another way, how.

Source: encoding/json as sigs.k8s.io/json has it; apimachinery: metav1.Time, resource.Quantity, intstr.IntOrString.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from coracle.core import quantity

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.]\d+)?([Zz]|[+-]\d\d:\d\d)")
_NORMAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NORMAL_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True, slots=True)
class Scalar:
    """`fault` gives "" where Go would say `cannot unmarshal <word> into Go struct field ...`."""

    fits: Callable[[Any], bool]
    zero: Any
    fault: Callable[[Any], str] = lambda _value: ""
    canonical: Callable[[Any], Any] | None = None


def go_word(value: Any) -> str:
    """What Go calls a JSON value in `cannot unmarshal ...`."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return f"number {value}" if isinstance(value, float) or abs(value) >= 2**31 else "number"


def _is_string(value: Any) -> bool:
    return type(value) is str or value is None


def _is_bool(value: Any) -> bool:
    return type(value) is bool or value is None


def _is_int32(value: Any) -> bool:
    return (type(value) is int and -(2**31) <= value < 2**31) or value is None


def _is_int64(value: Any) -> bool:
    return (type(value) is int and -(2**63) <= value < 2**63) or value is None


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value)) or value is None


def _is_int_or_string(value: Any) -> bool:
    return type(value) is str or _is_int32(value)


def _is_time(value: Any) -> bool:
    return value is None or (type(value) is str and not _time_fault(value))


def _is_bytes(value: Any) -> bool:
    return value is None or (type(value) is str and not _bytes_fault(value))


def _is_quantity(value: Any) -> bool:
    return value is None or not _quantity_fault(value)


def _int_fault(value: Any) -> str:
    return f"json: cannot unmarshal {go_word(value)} into Go value of type int32"


def _time_fault(value: Any) -> str:
    """Seconds that are not there (`:60`, 30 February) are found by reading it."""
    if type(value) is not str:
        return f"json: cannot unmarshal {go_word(value)} into Go value of type string"
    if _TIME.fullmatch(value):
        try:
            datetime.fromisoformat(value.upper())
        except ValueError:
            return f'parsing time "{value}": out of range'
        return ""
    return f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"'


def _read_bytes(value: str) -> bytes:
    """Raises ValueError.  Go's decoder passes over the ends of lines."""
    return base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)


def _bytes_fault(value: Any) -> str:
    if type(value) is not str:
        return ""
    try:
        _read_bytes(value)
    except (binascii.Error, ValueError):
        bad = re.search(r"[^A-Za-z0-9+/\r\n]", value)
        return f"illegal base64 data at input byte {bad.start() if bad else len(value)}"
    return ""


def _quantity_fault(value: Any) -> str:
    return _read_quantity(value)[0] if isinstance(value, str | int | float) else _read_quantity(True)[0]


def _canonical_bytes(value: str) -> str:
    text = base64.b64encode(_read_bytes(value)).decode()
    return value if value == text else text


def _canonical_quantity(value: Any) -> str:
    text = _read_quantity(value)[1]
    return value if type(value) is str and value == text else text


@lru_cache(2048)
def _read_quantity(value: str | float) -> tuple[str, str]:
    """(what is wrong, how the API writes it).  The same few amounts are read over and over."""
    try:
        return "", quantity.canonical(value)
    except ValueError as error:
        return str(error), ""


def _canonical_time(value: str) -> str:
    if _NORMAL_TIME.fullmatch(value):
        return value
    return datetime.fromisoformat(value.upper()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _canonical_micro(value: str) -> str:
    if _NORMAL_MICRO.fullmatch(value):
        return value
    return datetime.fromisoformat(value.upper()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


SCALARS: dict[str, Scalar] = {
    "string": Scalar(_is_string, ""),
    "bool": Scalar(_is_bool, False),
    "int32": Scalar(_is_int32, 0),
    "int64": Scalar(_is_int64, 0),
    "float64": Scalar(_is_number, 0),
    "int-or-string": Scalar(_is_int_or_string, 0, _int_fault),
    "bytes": Scalar(_is_bytes, "", _bytes_fault, _canonical_bytes),
    "quantity": Scalar(_is_quantity, "0", _quantity_fault, _canonical_quantity),
    "time": Scalar(_is_time, None, _time_fault, _canonical_time),
    "microtime": Scalar(_is_time, None, _time_fault, _canonical_micro),
}
