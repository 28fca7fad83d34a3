"""HEALTHCHECK, and the durations that it is told in ("1m30s").

Source: Dockerfile reference, "HEALTHCHECK"; Go's time.ParseDuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from coracle.core.errors import Malformed
from coracle.image.config import Healthcheck

MINIMUM_NS = 1_000_000

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]{0,18}(?:\.[0-9]{0,18})?)(ns|us|µs|μs|ms|s|m|h)")
_TIMES = {
    "interval": "interval_ns",
    "timeout": "timeout_ns",
    "start-period": "start_period_ns",
    "start-interval": "start_interval_ns",
}
FLAGS = (*_TIMES, "retries")


def duration_ns(text: str) -> int:
    """Raises Malformed."""
    sign, rest, total = (-1 if text.startswith("-") else 1), text.lstrip("+-"), Fraction(0)
    if rest == "0":
        return 0
    at = 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None or part[1] in ("", "."):
            raise Malformed(f'time: invalid duration "{text[:100]}"')
        total += Fraction(f"0{part[1]}0" if "." in part[1] else part[1]) * _UNITS_NS[part[2]]
        at = part.end()
    if not rest or total >= 1 << 63:
        raise Malformed(f'time: invalid duration "{text[:100]}"')
    return sign * int(total)


def healthcheck(args: tuple[str, ...], flags: Mapping[str, str], *, is_json: bool) -> Healthcheck:
    """The check that an instruction asks for.  Raises Malformed."""
    if not args:
        raise Malformed("HEALTHCHECK requires at least one argument")
    kind, command = args[0].upper(), args[1:]
    if kind == "NONE":
        if command:
            raise Malformed("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(("NONE",))
    if kind != "CMD":
        raise Malformed(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    if not command:
        raise Malformed("Missing command after HEALTHCHECK CMD")
    times = {field: _time(name, flags[name]) for name, field in _TIMES.items() if name in flags}
    return Healthcheck(("CMD" if is_json else "CMD-SHELL", *command), **times, retries=_retries(flags.get("retries")))


def _time(name: str, text: str) -> int:
    found = duration_ns(text) if text else 0
    if found and found < MINIMUM_NS:
        raise Malformed(f'Interval "{name}" cannot be less than 1ms')
    return found


def _retries(text: str | None) -> int:
    if not text:
        return 0
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None or not -(2**31) <= int(text) < 2**31:
        raise Malformed(f'strconv.ParseInt: parsing "{text[:100]}": invalid syntax')
    if int(text) < 0:
        raise Malformed(f"--retries cannot be negative ({int(text)})")
    return int(text)
