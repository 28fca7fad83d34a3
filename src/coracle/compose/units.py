"""Durations and sizes as Compose writes them: `1m30s`, `64m`."""

from __future__ import annotations

import re

_DURATION_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION_UNITS |= {"d": 24 * 3600 * 10**9, "w": 7 * 24 * 3600 * 10**9}
_SIZES = "kmgtp"


def nanoseconds(text: str) -> int:
    """The length of `1h2m3s`, in nanoseconds.  Raises ValueError in Go's words, as Compose does."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    total = 0
    while rest:
        part = re.match(r"(\d+(?:\.\d*)?|\.\d+)([^\d.]*)", rest)
        if not part:
            raise ValueError(f'time: invalid duration "{text}"')
        if not part[2]:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if part[2] not in _DURATION_UNITS:
            raise ValueError(f'time: unknown unit "{part[2]}" in duration "{text}"')
        whole, _, fraction = part[1].partition(".")
        unit = _DURATION_UNITS[part[2]]
        total += int(whole or "0") * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        rest = rest[part.end() :]
    if total >= 1 << 63:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total


def duration_text(length_ns: int) -> str:
    """`1m30s`, `1m0s`, `500ms`, `0s`: as Go writes a duration."""
    sign, rest = ("-", -length_ns) if length_ns < 0 else ("", length_ns)
    if rest == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if rest < size * 1000:
            return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, seconds = divmod(rest, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(seconds, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _decimal(count: int, size: int) -> str:
    whole, rest = divmod(count, size)
    return f"{whole}.{str(rest).zfill(len(str(size)) - 1)}".rstrip("0").rstrip(".") if rest else str(whole)


def size_bytes(text: str) -> int:
    """`50M`, `1gb`, `1.5GiB`, `300`: powers of 1024, in bytes.  Raises ValueError in Compose's words."""
    part = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if not part:
        raise ValueError(f"invalid size: '{text}'")
    suffix = part[2].lower()
    unit = re.fullmatch(rf"([{_SIZES}]?)(i?b)?", suffix)
    if not unit or (suffix == "ib"):
        raise ValueError(f"invalid suffix: '{part[2]}'")
    factor = 1024 ** (_SIZES.index(unit[1]) + 1) if unit[1] else 1
    return int(float(part[1]) * factor) if "." in part[1] else int(part[1]) * factor
