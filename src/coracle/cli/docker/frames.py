"""What comes out of a container, stdout and stderr told apart: in pieces as they come, or in lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from coracle.wire.stdcopy import CONTENT_TYPE, Frames

STDOUT, STDERR = 1, 2
PIECE_BYTES = 65536
LINE_LIMIT_BYTES = 1024 * 1024  # a longer line comes in pieces


class Readable(Protocol):
    """An answer (`http.client.HTTPResponse`): `read1` gives what is there, and nothing at the end."""

    def read1(self, n: int = ...) -> bytes: ...


def pieces_of(answer: Readable) -> Iterator[bytes]:
    """An answer's bytes as they come."""
    while piece := answer.read1(PIECE_BYTES):
        yield piece


def outputs(pieces: Iterable[bytes], *, multiplexed: bool) -> Iterator[tuple[int, bytes]]:
    """(STDOUT or STDERR, bytes); what is raw, as a terminal's is, counts as STDOUT."""
    frames = Frames()
    for piece in pieces:
        if multiplexed:
            yield from frames.feed(piece)
        else:
            yield STDOUT, piece


def is_multiplexed(content_type: str | None) -> bool:
    return (content_type or "").partition(";")[0].strip() == CONTENT_TYPE


def lines(found: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Whole lines without their ends; at last what is left of one on each stream."""
    left = {STDOUT: b"", STDERR: b""}
    for stream, data in found:
        *whole, left[stream] = (left[stream] + data).split(b"\n")
        for line in whole:
            yield stream, line
        if len(left[stream]) > LINE_LIMIT_BYTES:
            yield stream, left[stream]
            left[stream] = b""
    for stream, rest in left.items():
        if rest:
            yield stream, rest
