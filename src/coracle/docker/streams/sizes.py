"""The size of a terminal, as a query and as a body say it."""

from __future__ import annotations

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields, number
from coracle.web.messages import Request

_LARGEST = 65535


def size_of(request: Request) -> tuple[int, int]:
    """(columns, rows) of ?h=&w=.  Raises Malformed."""
    return _checked("w", number(request, "w")), _checked("h", number(request, "h"))


def console_size(body: Fields) -> tuple[int, int] | None:
    """(columns, rows) of "ConsoleSize": [rows, columns]; None where there is none.  Raises Malformed."""
    given = body.raw("ConsoleSize")
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 2:
        raise Malformed("invalid JSON: ConsoleSize must be a list of two numbers")
    rows, columns = (_checked("ConsoleSize", value) for value in given)
    return (columns, rows) if columns and rows else None


def _checked(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise Malformed(f'invalid value for "{name}": it must be between 0 and {_LARGEST}')
    return value
