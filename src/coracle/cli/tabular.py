"""Tables as Go's text/tabwriter writes them: every column but the last as wide as its widest cell and some space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def tabulated(rows: Iterable[Sequence[str]], *, least: int, space: int = 3) -> str:
    """Lines with their ends.  `least`: how wide a column is at least, `space` included."""
    rows = [list(row) for row in rows]
    count = max((len(row) for row in rows), default=0)
    widths = [
        max(least, *(len(row[at]) + space for row in rows if len(row) > at + 1), 0) for at in range(max(count - 1, 0))
    ]
    return "".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    *columns, last = row or [""]
    return "".join(cell.ljust(width) for cell, width in zip(columns, widths, strict=False)) + last + "\n"
