"""Archives as they come: found out how they are packed by looking, unpacked without trust in their sizes.

Source: docker.md 6.3, item 4 (bombs); the magic numbers of gzip, bzip2, xz and zstd.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
import tarfile
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

from coracle.core.errors import Invalid, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

XZ_MEMORY_BYTES = 256 << 20
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))

# What the libraries raise for archives that are none.
DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, zstd.ZstdError, ValueError)


@dataclass(frozen=True, slots=True)
class Limits:
    """A ratio is only asked of what unpacks to more than `free_bytes`."""

    max_bytes: int = 32 << 30
    max_entries: int = 1_000_000
    max_ratio: int = 300
    free_bytes: int = 512 << 20


def is_tar(head: bytes) -> bool:
    """Whether these first bytes (512 at least, uncompressed) begin a tar archive."""
    if len(head) < 512:
        return False
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def compression_of(head: bytes) -> str:
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


def is_archive(file: BinaryIO) -> bool:
    """Whether the file is a tar, packed or not.  Leaves it at its beginning."""
    try:
        head = _reader(file).read(512)
    except (*DAMAGE, OSError):
        head = b""
    finally:
        file.seek(0)
    return is_tar(head)


def _reader(file: BinaryIO) -> Any:
    head = file.read(8)
    file.seek(0)
    match compression_of(head):
        case "gzip":
            return gzip.GzipFile(fileobj=file, mode="rb")
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return _Xz(file)
        case "zstd":
            return zstd.ZstdFile(file)
    return file


class _Xz:
    """An .xz file whose dictionary may not take all the memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decompressor = lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)

    def read(self, size: int) -> bytes:
        while not self._decompressor.eof:
            packed = self._file.read(65536) if self._decompressor.needs_input else b""
            if not packed and self._decompressor.needs_input:
                raise EOFError("compressed file ended early")
            if data := self._decompressor.decompress(packed, size):
                return data
        return b""


class Bounded:
    """The uncompressed archive: stops a bomb, and fills its last block, which Docker's client leaves unfinished."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._reader = _reader(file)
        packed_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._limit = min(limits.max_bytes, max(packed_bytes * limits.max_ratio, limits.free_bytes))
        self._size = 0
        self._padding: bytes | None = None

    def read(self, size: int) -> bytes:
        if self._padding is not None:
            filling, self._padding = self._padding[:size], self._padding[size:]
            return filling
        data: bytes = self._reader.read(size)
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge("the archive unpacks to too many bytes")
        if data:
            return data
        self._padding = bytes(-self._size % 512)
        return self.read(size)

    def check(self, member: tarfile.TarInfo) -> None:
        """Its content was there, and not our padding.  Raises Invalid."""
        if self._padding is not None and member.offset_data + member.size > self._size:
            raise Invalid(message="the archive is damaged: unexpected end of data")
