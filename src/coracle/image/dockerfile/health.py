"""HEALTHCHECK.

Source: Dockerfile reference, "HEALTHCHECK".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from coracle.core.durations import nanoseconds
from coracle.core.errors import Malformed
from coracle.image.config import Healthcheck

MINIMUM_NS = 1_000_000

_TIMES = {
    "interval": "interval_ns",
    "timeout": "timeout_ns",
    "start-period": "start_period_ns",
    "start-interval": "start_interval_ns",
}
FLAGS = (*_TIMES, "retries")


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
    try:
        found = nanoseconds(text) if text else 0
    except ValueError as error:
        raise Malformed(str(error)) from None
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
