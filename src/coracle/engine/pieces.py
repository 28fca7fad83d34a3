"""Blocks of a stored log as bytes by stream, with as little as possible done for each line.

    2026-11-23T09:00:00.123456789+00:00 stdout F Once upon a time
    0                                  35        45

conmon's heads are all of one length, so that lines are cut, not parsed; a million of 100 bytes cost half a second.
Only a block that begins before `since`, ends after `until` or has torn lines in it is gone through line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from coracle.core.clock import from_rfc3339
from coracle.engine.lines import LogLine, in_utc, parse_line

Piece = tuple[Literal[1, 2], bytes]

_FRACTION_END, _HEAD_END, _DATA = 29, 35, 45
_UTC = b"+00:00"
# What stands between a head and its data: which stream, and whether the line ends here.
_MARKS: dict[bytes, tuple[Literal[1, 2], bool]] = {
    b" stdout F ": (1, True),
    b" stdout P ": (1, False),
    b" stderr F ": (2, True),
    b" stderr P ": (2, False),
}


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
        self._decorates = timestamps or bool(prefix)
        self._inside: set[int] = set()  # streams that are in the middle of a line
        self.is_over = False

    def take(self, block: bytes) -> list[Piece]:
        """What the block's lines say, neighbours of one stream in one piece."""
        if not self._is_inside(block):
            return _merged(self._picked(block))
        lines = block.split(b"\n")
        lines.pop()
        marks = [line[_HEAD_END:_DATA] for line in lines]
        if not _MARKS.keys() >= set(marks):
            return _merged(self._parsed(lines))
        return _merged(self._cut(lines, marks))

    def _is_inside(self, block: bytes) -> bool:
        """Whether no line of it is to be left out for its time; lines are in order of time."""
        if self._since_s is not None and not self._since_s <= _time(block[: block.find(b" ")], default=-1):
            return False
        last = block[block.rfind(b"\n", 0, -1) + 1 :]
        return self._until_s is None or _time(last[: last.find(b" ")], default=self._until_s + 1) <= self._until_s

    def _cut(self, lines: Sequence[bytes], marks: Iterable[bytes]) -> Iterator[Piece]:
        """Runs of lines with one mark."""
        end = 0
        for mark, run in groupby(marks):
            start, end = end, end + sum(1 for _ in run)
            stream, is_whole = _MARKS[mark]
            run_of_lines = lines[start:end]
            if self._decorates:
                yield stream, self._decorated(run_of_lines, stream, is_whole=is_whole)
            else:
                ending = b"\n" if is_whole else b""
                yield stream, ending.join([line[_DATA:] for line in run_of_lines]) + ending

    def _decorated(self, lines: Sequence[bytes], stream: Literal[1, 2], *, is_whole: bool) -> bytes:
        """With a head at each beginning of a line: the first may go on with one before."""
        first = b"" if stream in self._inside else self._head(lines[0])
        if not is_whole:
            self._inside.add(stream)
            return first + b"".join([line[_DATA:] for line in lines])
        self._inside.discard(stream)
        rest = [self._head(line) + line[_DATA:] + b"\n" for line in lines[1:]]
        return first + lines[0][_DATA:] + b"\n" + b"".join(rest)

    def _head(self, line: bytes) -> bytes:
        if not self._timestamps:
            return self._prefix
        if line[_FRACTION_END:_HEAD_END] == _UTC:
            return line[:_FRACTION_END] + b"Z " + self._prefix
        return in_utc(line[:_HEAD_END]).encode() + b" " + self._prefix

    def _parsed(self, lines: Iterable[bytes]) -> Iterator[Piece]:
        for raw in lines:
            line = parse_line(raw)
            if line is not None:
                yield self._line(line)

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
        stream: Literal[1, 2] = 1 if line.stream == "stdout" else 2
        data = line.data if line.partial else line.data + b"\n"
        if self._decorates and stream not in self._inside:
            data = (line.at.encode() + b" " if self._timestamps else b"") + self._prefix + data
        (self._inside.add if line.partial else self._inside.discard)(stream)
        return stream, data


def _merged(pieces: Iterator[Piece]) -> list[Piece]:
    merged: list[tuple[Literal[1, 2], list[bytes]]] = []
    for stream, data in pieces:
        if merged and merged[-1][0] == stream:
            merged[-1][1].append(data)
        else:
            merged.append((stream, [data]))
    return [(stream, b"".join(parts)) for stream, parts in merged]


def _time(at: bytes, *, default: float) -> float:
    try:
        return from_rfc3339(at.decode("ascii"))
    except ValueError:
        return default
