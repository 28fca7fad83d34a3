"""Several output streams in one: Docker's multiplexed stream.

    [stream][0 0 0][length, 4 bytes, big-endian] payload      stream 1 is stdout, 2 stderr

Any length is legal; a frame is never cut by another.
Source: Docker Engine API, "Attach to a container", stream format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

CONTENT_TYPE = "application/vnd.docker.multiplexed-stream"
RAW_CONTENT_TYPE = "application/vnd.docker.raw-stream"
_HEAD = struct.Struct(">B3xI")


def frame(stream: Literal[1, 2], data: bytes) -> bytes:
    """One frame around `data`."""
    return _HEAD.pack(stream, len(data)) + data


def frame_lines(stream: Literal[1, 2], data: bytes) -> bytes:
    """A frame around each line of `data`, line breaks included, and around what follows the last."""
    *lines, rest = data.split(b"\n")
    framed = b"".join([b"%b%b\n" % (_HEAD.pack(stream, len(line) + 1), line) for line in lines])
    return framed + frame(stream, rest) if rest else framed


class Frames:
    """The receiving side: `feed` it bytes as they come, iterate what it gives."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(stream, payload) of every frame that is whole by now."""
        self._rest += data
        while len(self._rest) >= _HEAD.size:
            stream, length = _HEAD.unpack_from(self._rest)
            end = _HEAD.size + length
            if len(self._rest) < end:
                return
            payload, self._rest = self._rest[_HEAD.size : end], self._rest[end:]
            yield stream, payload
