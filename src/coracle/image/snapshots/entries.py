"""The entries of a tar that a stranger has made: read one by one, with flat memory.

Source: pax(1) by way of tarfile; docker.md 6.3 items 3 and 4.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, Any, Protocol, cast

from coracle.image.snapshots.members import CHUNK_BYTES, Refused

HEADER_BYTES = 1 << 20  # of one extended header or long name: the largest legal xattr is 64 KiB

_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class BoundedTarInfo(tarfile.TarInfo):
    """Headers whose claims about themselves are believed only as far as memory goes (and never backwards)."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.size < 0 or (self.type in _EXTENDED and self.size > HEADER_BYTES):
            raise Refused("invalid", f"a header claims a size of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def entries(source: Readable) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Each entry, with the archive to take its content from before the next step.

    Raises: Refused, and what tarfile and `source` raise.
    """
    with tarfile.open(
        fileobj=cast("IO[bytes]", source),
        mode="r|",
        bufsize=CHUNK_BYTES,
        tarinfo=BoundedTarInfo,
        encoding="utf-8",
        errors="surrogateescape",
    ) as archive:
        for entry in archive:
            yield archive, entry
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header
