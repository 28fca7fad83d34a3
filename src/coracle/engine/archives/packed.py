"""Reading a stream that may be compressed: by what it begins with, and never by a program of somebody else's.

Source: the formats' magic numbers (gzip RFC 1952, bzip2, xz, zstd RFC 8878); docker.md 6.2 (CVE-2026-41567).
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Any

from coracle.image.snapshots.entries import Readable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE = 1 << 16
_XZ_MEMORY_BYTES = 256 << 20
_ZSTD_WINDOW_LOG = 27  # 128 MiB


class _Gzip:
    """zlib's object with the methods of the other three."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data


_FORMATS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES),
    b"\x28\xb5\x2f\xfd": lambda: zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    ),
}
ERRORS = (zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError)  # and OSError of bz2


def is_packed(head: bytes) -> bool:
    """Whether what begins with these six bytes is compressed."""
    return any(head.startswith(magic) for magic in _FORMATS)


def unpacked(source: Readable) -> Readable:
    """`source` as it is, or what it holds compressed.  Raises what `source` raises."""
    first = b""
    while len(first) < 6 and (data := source.read(6 - len(first))):
        first += data
    joined = _Joined(first, source)
    make = next((make for magic, make in _FORMATS.items() if first.startswith(magic)), None)
    return joined if make is None else _Unpacked(joined, make)


class _Joined:
    def __init__(self, first: bytes, source: Readable) -> None:
        self._first, self._source = first, source

    def read(self, size: int) -> bytes:
        if self._first:
            data, self._first = self._first[:size], self._first[size:]
            return data
        return self._source.read(size)


class _Unpacked:
    """Streams may follow one another, as in `cat a.gz b.gz`."""

    def __init__(self, source: Readable, make: Callable[[], Any]) -> None:
        self._source, self._make = source, make
        self._object = make()

    def read(self, size: int) -> bytes:
        """Raises one of ERRORS, OSError."""
        waiting = b""
        while True:
            if self._object.eof:
                waiting = self._object.unused_data or self._source.read(_PIECE)
                if not waiting:
                    return b""
                self._object = self._make()
            elif self._object.needs_input and not waiting:
                waiting = self._source.read(_PIECE)
                if not waiting:
                    raise EOFError("compressed data ends early")
            data: bytes = self._object.decompress(waiting, size)
            waiting = b""
            if data:
                return data
