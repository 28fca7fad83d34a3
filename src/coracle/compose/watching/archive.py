"""Files of this machine as the tar that PUT /containers/{id}/archive takes; all in it is root's, as in Compose."""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import BinaryIO

_PIECE_BYTES = 1 << 20
_BLOCK = tarfile.BLOCKSIZE


def split(files: Mapping[str, Sequence[str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """(file, its place in the container) of those that are here, and the places of those that are gone."""
    here: list[tuple[str, str]] = []
    gone: dict[str, None] = {}
    for path, places in files.items():
        if os.path.lexists(path):
            here += [(path, place) for place in places]
        else:
            gone |= dict.fromkeys(places)
    return here, [place for place in gone if not _is_below(place, gone)]


def _is_below(place: str, others: Collection[str]) -> bool:
    """Whether a directory that it is in goes anyway."""
    parents = posixpath.dirname(place)
    while parents not in ("/", "") and parents not in others:
        parents = posixpath.dirname(parents)
    return parents in others


def pieces(files: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    """The tar.  Files that go meanwhile, and what is neither file, link nor directory, are left out."""
    for path, place in sorted(files, key=lambda pair: pair[1]):
        yield from _entry(path, place.lstrip("/"))
    yield b"\0" * (2 * _BLOCK)


def _entry(path: str, name: str) -> Iterator[bytes]:
    try:
        status = os.lstat(path)
        info = _info(path, name, status)
        if info is None:
            return
        if not info.isreg():
            yield info.tobuf(tarfile.PAX_FORMAT)
            return
        with open(path, "rb") as file:
            yield info.tobuf(tarfile.PAX_FORMAT)
            yield from _content(file, info.size)
    except FileNotFoundError:
        return


def _info(path: str, name: str, status: os.stat_result) -> tarfile.TarInfo | None:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    if stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    elif stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
    else:
        return None
    return info


def _content(file: BinaryIO, size: int) -> Iterator[bytes]:
    """`size` bytes, whatever becomes of the file, filled up to whole blocks."""
    left = size
    while left and (piece := file.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
        yield piece
    yield b"\0" * (left + -size % _BLOCK)
