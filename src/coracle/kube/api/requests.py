"""What every request may say beside what it asks for.

Source: apiserver's request deadline filter.
"""

from __future__ import annotations

from coracle.core.durations import nanoseconds
from coracle.core.errors import Malformed
from coracle.web.messages import Request


def check_timeout(request: Request) -> None:
    """`?timeout=30s`, for how long the client means to wait, must be a duration as Go writes them.  Raises Malformed.

    What we answer, we answer at once.
    """
    if "/proxy/" in request.raw_path:
        return  # it is for somebody else
    asked = request.query.get("timeout")
    if not asked:
        return
    try:
        nanoseconds(asked)
    except ValueError as error:
        raise Malformed(f"invalid timeout specified in the request URL - {error}") from None


def is_true(text: str) -> bool:
    """Whether a value of the query says so, in the words that clients have for it."""
    return text.lower() in ("true", "1")
