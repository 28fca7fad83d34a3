"""How answers are printed: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

output_option: Callable[[F], F] = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print.  [default: table]"
)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def render_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as their widest cell, three spaces between, as kubectl prints."""
    texts = [list(heads), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[n]) for row in texts) for n in range(len(heads))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts
    )


def human_bytes(count: int) -> str:
    """`12.3MB`, in powers of ten, as docker prints sizes."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.3g}{unit}"
        size /= 1000
    return ""


def binary_bytes(count: int) -> str:
    """`12.3MiB`, in powers of two, as docker prints memory."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.4g}{unit}"
        size /= 1024
    return ""


def human_age(seconds: float) -> str:
    """`5s`, `3m`, `2h`, `4d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length or (unit == "d" and seconds >= length):
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"
