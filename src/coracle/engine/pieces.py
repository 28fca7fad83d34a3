"""Blocks of a stored log as bytes by stream, without looking at each line where that can be avoided.

A block of 256 KiB holds some 1,700 lines of 100 bytes; where they are whole lines of one stream, one substitution takes
their heads off, and a million lines cost half a second.  Only a block that begins before `since`, ends after `until` or
has broken lines in it is gone through line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from coracle.core.clock import from_rfc3339
from coracle.engine.lines import LogLine, parse_line

Piece = tuple[Literal[1, 2], bytes]

# What comes before the data of a whole line; a run of such lines of one stream; any other stored line.
_HEAD = re.compile(rb"^[^ \n]++ std(?:out|err) F ", re.MULTILINE)
_RUN = re.compile(
    rb"(?P<out>(?:[^ \n]++ stdout F [^\n]*+\n)++)|(?P<err>(?:[^ \n]++ stderr F [^\n]*+\n)++)|(?P<other>[^\n]*+\n)"
)


class Printer:
    """`take` a log's blocks one after another.  `is_over` once a line was later than `until_s`."""

    def __init__(
        self,
        since_s: float | None = None,
        until_s: float | None = None,
        *,
        timestamps: bool = False,
        prefix: bytes = b"",
    ) -> None:
        self._since_s, self._until_s = since_s, until_s
        self._timestamps, self._prefix = timestamps, prefix
        self._inside: set[str] = set()  # streams that are in the middle of a line
        self.is_over = False

    def take(self, block: bytes) -> list[Piece]:
        """What the block's lines say, neighbours of one stream in one piece."""
        if self._is_inside(block):
            return _merged(piece for run in _RUN.finditer(block) for piece in self._run(run))
        return _merged(self._picked(block))

    def _is_inside(self, block: bytes) -> bool:
        """Whether no line of it is to be left out for its time; lines are in order of time."""
        if self._since_s is not None and not self._since_s <= _time(block[: block.find(b" ")], default=-1):
            return False
        last = block[block.rfind(b"\n", 0, -1) + 1 :]
        return self._until_s is None or _time(last[: last.find(b" ")], default=self._until_s + 1) <= self._until_s

    def _run(self, run: re.Match[bytes]) -> Iterator[Piece]:
        if run.lastgroup == "other" or self._inside:
            for raw in run[0].split(b"\n")[:-1]:
                line = parse_line(raw)
                if line is not None:
                    yield self._line(line)
        else:
            stream: Literal[1, 2] = 1 if run.lastgroup == "out" else 2
            yield stream, self._headless(run[0], stream)

    def _headless(self, lines: bytes, stream: Literal[1, 2]) -> bytes:
        if not self._timestamps:
            return _HEAD.sub(_literal(self._prefix), lines)
        middle = b"+00:00 stdout F " if stream == 1 else b"+00:00 stderr F "
        if lines.count(middle) == lines.count(b"\n"):  # nowhere but in the heads
            return lines.replace(middle, b"Z " + self._prefix)
        return b"".join(self._line(line)[1] for raw in lines.split(b"\n")[:-1] if (line := parse_line(raw)) is not None)

    def _picked(self, block: bytes) -> Iterator[Piece]:
        for raw in block.split(b"\n")[:-1]:
            line = parse_line(raw)
            if line is None:
                continue
            at_s = _time(line.at.encode(), default=0)
            if self._since_s is not None and at_s < self._since_s:
                continue
            if self._until_s is not None and at_s > self._until_s:
                self.is_over = True
                return
            yield self._line(line)

    def _line(self, line: LogLine) -> Piece:
        data = line.data if line.partial else line.data + b"\n"
        if line.stream not in self._inside:
            data = (line.at.encode() + b" " if self._timestamps else b"") + self._prefix + data
        (self._inside.add if line.partial else self._inside.discard)(line.stream)
        return (1 if line.stream == "stdout" else 2), data


def _merged(pieces: Iterator[Piece]) -> list[Piece]:
    merged: list[tuple[Literal[1, 2], list[bytes]]] = []
    for stream, data in pieces:
        if merged and merged[-1][0] == stream:
            merged[-1][1].append(data)
        else:
            merged.append((stream, [data]))
    return [(stream, b"".join(parts)) for stream, parts in merged]


def _literal(text: bytes) -> bytes:
    """As a template of `sub`."""
    return text.replace(b"\\", rb"\\")


def _time(at: bytes, *, default: float) -> float:
    try:
        return from_rfc3339(at.decode("ascii"))
    except ValueError:
        return default
