"""The filter `until`: a moment, or how long ago it was, as Docker's prune commands take it.

    10m   1h30m   2026-11-23   2026-11-23T12:00:00   2026-11-23T12:00:00Z   1763899200   1763899200.5

Source: moby api/types/time.GetTimestamp.
"""

from __future__ import annotations

import contextlib
import re

from coracle.core.clock import from_rfc3339
from coracle.core.durations import nanoseconds
from coracle.core.errors import Malformed

_SECONDS = re.compile(r"-?[0-9]{1,12}(\.[0-9]{0,12})?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:\d\d)?")


def parse_ago(text: str, now_s: float) -> float:
    """Seconds since 1970.  Raises Malformed."""
    if _SECONDS.fullmatch(text):
        return float(text)
    with contextlib.suppress(ValueError):
        return now_s - nanoseconds(text) / 1e9
    found = _MOMENT.fullmatch(text)
    if found:
        day, hour, minute, second, fraction, zone = found.groups(default="")
        with contextlib.suppress(ValueError):
            return from_rfc3339(f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{fraction}{zone or 'Z'}")
    raise Malformed(f"invalid filter 'until={text[:60]}': neither a moment nor a duration")
