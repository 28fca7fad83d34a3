"""Shapes of fields: what a value of any allowed form becomes.  Wrong values raise Malformed with file and line."""

from __future__ import annotations

import math
import os.path
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from coracle.compose.places import Path, Places, dotted
from coracle.compose.units import nanoseconds, size_bytes
from coracle.core.durations import duration_text


@dataclass(frozen=True)
class Setting:
    """What shapes need to know: relative paths start at `directory`, `~` is `home`; without interpolation (`raw`),
    text with a dollar in it stays as it is."""

    places: Places
    directory: str
    home: str = ""
    raw: bool = False


Shape = Callable[[Any, Path, Setting], Any]

_REMOTE = re.compile(r"([a-z][a-z0-9+.\-]*://|git@|github\.com/|docker-image:|target:|service:|oci-layout:)")


def scalar(convert: Callable[[Any], Any]) -> Shape:
    """A shape by a function that raises ValueError for what it cannot read."""

    def shape(value: Any, path: Path, setting: Setting) -> Any:
        if value is None:
            return None
        try:
            return convert(value)
        except (ValueError, OverflowError) as error:
            if setting.raw and isinstance(value, str) and "$" in value:
                return value
            raise setting.places.fault(path, f"{dotted(path)}: {error}") from error

    return shape


def as_text(value: Any) -> str:
    """A scalar as text, as Go prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return str(value)


def _float_text(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    exponent = math.floor(math.log10(abs(value))) if value else 0
    if -4 <= exponent < 21:
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    digits, _, power = format(Decimal(repr(value)).normalize(), "e").partition("e")
    return f"{digits}e{power[0]}{power[1:].zfill(2)}"


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    match str(value).lower():
        case "true" | "yes" | "y" | "on" | "1":
            return True
        case "false" | "no" | "n" | "off" | "0":
            return False
    raise ValueError(f"invalid boolean: {value}")


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"invalid integer: {value}")
    if isinstance(value, str) and not re.fullmatch(r"[+-]?\d{1,19}", value):
        raise ValueError(f"invalid integer: {value}")
    return int(value)


def _number(value: Any) -> float | int:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"invalid number: {value}")
    return int(found) if found.is_integer() else found


def _size(value: Any) -> str:
    return str(size_bytes(value) if isinstance(value, str) else _integer(value))


def _microseconds(value: Any) -> int:
    """Of a number, or of a duration."""
    plain = not isinstance(value, str) or value.lstrip("-").isdecimal()
    return _integer(value) if plain else nanoseconds(value) // 1000


def _duration(value: Any) -> str:
    return duration_text(nanoseconds(value))


def _mode(value: Any) -> int:
    return int(value, 8) if isinstance(value, str) else _integer(value)


def _count(value: Any) -> int:
    return -1 if value == "all" else _integer(value)


def _split(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        raise ValueError("invalid command line string") from None


boolean, integer, number, size, duration = map(scalar, (_boolean, _integer, _number, _size, _duration))
microseconds = scalar(_microseconds)
mode, count, text = map(scalar, (_mode, _count, as_text))


def same(value: Any, path: Path, setting: Setting) -> Any:
    return value


def strings(value: Any, path: Path, setting: Setting) -> Any:
    """`a` or `[a, b]`: a list of texts."""
    return [as_text(item) for item in (value if isinstance(value, list) else [value])]


def words(value: Any, path: Path, setting: Setting) -> Any:
    """A command: text is split as a shell would; null stays null."""
    if not isinstance(value, str):
        return value

    return scalar(_split)(value, path, setting)


def mapping(value: Any, path: Path, setting: Setting) -> Any:
    """`{a: 1}` or `[a=1, b]`: a mapping of texts, null where there is no value."""
    if isinstance(value, list):
        pairs = [as_text(item).partition("=") for item in value]
        return {key: given if equals else None for key, equals, given in pairs}
    return value and {key: None if given is None else as_text(given) for key, given in value.items()}


def labels(value: Any, path: Path, setting: Setting) -> Any:
    """Like `mapping`, and no value is an empty one."""
    found = mapping(value, path, setting)
    return found and {key: given or "" for key, given in found.items()}


def fields(table: Mapping[str, Shape]) -> Shape:
    """A mapping whose fields have shapes of their own; other fields and null stay as they are."""

    def shape(value: Any, path: Path, setting: Setting) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: table.get(key, same)(item, (*path, key), setting) for key, item in value.items()}

    return shape


def each(inner: Shape) -> Shape:
    """A list, or a mapping of any keys, of things of one shape."""

    def shape(value: Any, path: Path, setting: Setting) -> Any:
        if isinstance(value, dict):
            return {key: inner(item, (*path, key), setting) for key, item in value.items()}
        if isinstance(value, list):
            return [inner(item, (*path, at), setting) for at, item in enumerate(value)]
        return value

    return shape


def absolute(path: str, setting: Setting) -> str:
    """A path of this machine: `~` is the home directory, and what is relative starts at the project's directory."""
    if path == "~" or path.startswith("~/"):
        path = setting.home + path[1:]
    return os.path.normpath(os.path.join(setting.directory, path))


def local_path(value: Any, path: Path, setting: Setting) -> Any:
    if not isinstance(value, str) or (setting.raw and value.startswith("$")):
        return value
    return absolute(value, setting)


def context_path(value: Any, path: Path, setting: Setting) -> Any:
    """A build context: a directory, or where a remote one comes from."""
    if isinstance(value, str) and _REMOTE.match(value):
        return value
    return local_path(value, path, setting)
