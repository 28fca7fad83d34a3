"""Moments as Docker's clients write them in a query: seconds since 1970, with a fraction if they like.

Source: moby api/types/time, as far as a server reads it: "1136073845.000000001", "1136073845".
"""

from __future__ import annotations

import re

from coracle.core.clock import from_rfc3339
from coracle.core.errors import Malformed
from coracle.web.messages import Request

_SECONDS = re.compile(r"-?[0-9]{1,12}(\.[0-9]{0,12})?")


def moment(request: Request, name: str) -> float | None:
    """Seconds since 1970; None where the query has none, or 0.  Raises Malformed."""
    text = request.query.get(name)
    return None if text in ("", "0") else moment_s(text)


def moment_s(text: str) -> float:
    """Seconds since 1970, to the microsecond before; an RFC 3339 time is understood too.  Raises Malformed."""
    if _SECONDS.fullmatch(text):
        second, _, fraction = text.partition(".")
        return float(f"{second}.{fraction[:6]}")
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise Malformed(f"invalid time: {text[:40]!r} is not a number of seconds since 1970") from error
