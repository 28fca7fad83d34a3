"""Log files as conmon writes them (k8s-file format), line by line.

    2026-11-23T09:00:00.123456789+00:00 stdout P Once upon
    2026-11-23T09:00:00.123456790+00:00 stdout F  a time.

A stored line is one piece of a line: P says that more of it follows, F that it ends here.
Source: Kubernetes' CRI, "Logging"; conmon's ctr_logging.c.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

BLOCK_BYTES = 128 * 1024
_ZONED = re.compile(r"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?P<fraction>\.\d{9})(?P<zone>[+-]\d\d:\d\d)")
LONGEST_BYTES = 1 << 20  # conmon's longest is 8 KiB and its prefix: what is longer is no line


@dataclass(frozen=True, slots=True)
class LogLine:
    """`data` without the line break that it ends in unless it is `partial`.  `at` is RFC 3339 with nanoseconds."""

    at: str
    stream: Literal["stdout", "stderr"]
    data: bytes
    partial: bool


def parse_line(raw: bytes) -> LogLine | None:
    """A stored line, without its line break; None where it is none (torn by a crash)."""
    parts = raw.split(b" ", 3)
    if len(parts) < 4 or parts[2] not in (b"F", b"P"):
        return None
    at = in_utc(parts[0])
    match parts[1]:
        case b"stdout":
            return LogLine(at, "stdout", parts[3], parts[2] == b"P")
        case b"stderr":
            return LogLine(at, "stderr", parts[3], parts[2] == b"P")
    return None


def in_utc(at: bytes) -> str:
    """conmon writes the time of its own zone: "...+00:00", "...+02:00"; nanoseconds stay."""
    text = at.decode("ascii", "replace")
    parts = _ZONED.fullmatch(text)
    if parts is None or parts["zone"] == "+00:00":
        return text.replace("+00:00", "Z")
    second = datetime.fromisoformat(parts["second"] + parts["zone"]).astimezone(UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}{parts['fraction']}Z"


async def joined(pieces: AsyncIterator[LogLine]) -> AsyncIterator[LogLine]:
    """Whole lines of pieces, each with the time of its first one.  Lines longer than a mebibyte stay in parts."""
    begun: dict[str, LogLine] = {}
    async for piece in pieces:
        before = begun.pop(piece.stream, None)
        line = replace(before, data=before.data + piece.data, partial=piece.partial) if before else piece
        if line.partial and len(line.data) < LONGEST_BYTES:
            begun[line.stream] = line
        else:
            yield line
    for line in begun.values():
        yield line


class BlockReader:
    """Whole stored lines of an open file, from an offset on, as far as it is written.  Blocks."""

    def __init__(self, fd: int, offset: int = 0) -> None:
        self.fd = fd
        self._offset, self._rest = offset, b""

    def read(self) -> bytes:
        """The next lines, each with its line break; b"" at the end of what is written so far."""
        while block := os.pread(self.fd, BLOCK_BYTES, self._offset):
            self._offset += len(block)
            end = block.rfind(b"\n") + 1
            if end:
                lines, self._rest = self._rest + block[:end], block[end:]
                return lines
            self._rest += block
            if len(self._rest) > LONGEST_BYTES:
                self._rest = b""  # no log: do not keep it
        return b""


def parse_block(block: bytes) -> list[LogLine]:
    """The lines of a block; torn ones are left out."""
    return [line for raw in block.split(b"\n")[:-1] if (line := parse_line(raw)) is not None]


def tail_offset(fd: int, count: int) -> tuple[int, int]:
    """Where the last `count` lines of a file begin, and how many are missing because it is too short.  Blocks.

    A line is what ends in an F piece, and what has been begun last.  Reads backwards, no more than it needs.
    """
    ends, is_last = 0, True
    for start, line in _backwards(fd):
        if is_last and b" P " in line[:64]:
            ends = 1  # begun, and not ended yet
        is_last = False
        if b" F " in line[:64]:
            ends += 1
        if ends > count:
            return start + len(line) + 1, 0
    return 0, count - ends


def _backwards(fd: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every whole stored line, the last first."""
    at, rest = os.fstat(fd).st_size, b""
    is_end = True
    while at > 0:
        start = max(0, at - BLOCK_BYTES)
        block = os.pread(fd, at - start, start) + rest
        if is_end:  # what follows the last line break is still being written
            block, is_end = block[: block.rfind(b"\n") + 1], b"\n" not in block
        cut = block.find(b"\n") + 1 if start else 0
        end = len(block)
        while end > cut:
            begin = block.rfind(b"\n", cut, end - 1) + 1 or cut
            yield start + begin, block[begin : end - 1]
            end = begin
        at, rest = start, block[:cut]
        if len(rest) > LONGEST_BYTES:
            return
