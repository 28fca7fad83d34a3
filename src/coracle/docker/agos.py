"""The filter `until`: a moment, or how long ago it was, as Docker's prune commands take it.

    10m   1h30m   2026-11-23   2026-11-23T12:00:00   2026-11-23T12:00:00Z   1763899200   1763899200.5

Source: moby api/types/time.GetTimestamp; Go's time.ParseDuration.
"""

from __future__ import annotations

import re

from coracle.core.clock import from_rfc3339
from coracle.core.errors import Malformed

_SECONDS = re.compile(r"-?[0-9]{1,12}(\.[0-9]{0,12})?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:\d\d)?")


def parse_ago(text: str, now_s: float) -> float:
    """Seconds since 1970.  Raises Malformed."""
    if _SECONDS.fullmatch(text):
        return float(text)
    duration_s = _duration_s(text)
    if duration_s is not None:
        return now_s - duration_s
    found = _MOMENT.fullmatch(text)
    if found:
        day, hour, minute, second, fraction, zone = found.groups(default="")
        try:
            return from_rfc3339(f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{fraction}{zone or 'Z'}")
        except ValueError:
            pass
    raise Malformed(f"invalid filter 'until={text[:60]}': neither a moment nor a duration")


def _duration_s(text: str) -> float | None:
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _DURATION.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        return None
    return sign * sum(float(number) * _UNIT_S[unit] for number, unit in parts)
