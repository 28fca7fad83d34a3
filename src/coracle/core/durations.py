"""How long something takes, as Go writes it: `1m30s`; and how long ago something was, as Docker says it.

Source: Go's time.ParseDuration, Duration.String; go-units, HumanDuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

UNITS_NS: Mapping[str, int] = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # the micro sign
    "μs": 10**3,  # the Greek letter
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([^0-9.]*)")
_LONGEST, _SHOWN = 1000, 100  # characters


def nanoseconds(text: str, units_ns: Mapping[str, int] = UNITS_NS) -> int:
    """The length of `1h2m3.5s`.  Raises ValueError in Go's words."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    wrong = ValueError(f'time: invalid duration "{text[:_SHOWN]}"')
    if not 0 < len(rest) <= _LONGEST:
        raise wrong
    total = 0
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise wrong
        amount, unit = part.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text[:_SHOWN]}"')
        if unit not in units_ns:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text[:_SHOWN]}"')
        whole, _, fraction = amount.partition(".")
        total += int(whole or "0") * units_ns[unit] + int(fraction or "0") * units_ns[unit] // 10 ** len(fraction)
        rest = rest[part.end() :]
    if total >= 1 << 63:
        raise wrong
    return sign * total


def duration_text(length_ns: int) -> str:
    """`1m30s`, `1m0s`, `500ms`, `0s`."""
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


def ago(duration_s: float) -> str:
    """ "Less than a second", "3 seconds", "About a minute", "2 hours", "5 days", "3 weeks"."""
    seconds = int(max(0.0, duration_s))
    minutes, hours = seconds // 60, int(max(0.0, duration_s) / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    return f"{days // 30} months" if days < 730 else f"{int(duration_s / 86400 / 365)} years"
