"""A tar of part of a file system that a container owns, made while it may be changing everything in it.

Every file is opened by descriptors beneath the one it was found in; links are never followed, and nothing but regular
files is ever opened for reading, so that a FIFO cannot hold us up and no device notices.  Directories are opened anew
from the top, one at a time: how deep a tree is costs no descriptors.

Source: pax(1) by way of tarfile; docker.md 6.3 item 6.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coracle.linux.cgroups import filesystem_magic
from coracle.linux.rooted import open_beneath
from coracle.linux.walks import GONE

CHUNK_BYTES = 1 << 20
_GATHER_BYTES = 256 * 1024
_BLOCK = tarfile.BLOCKSIZE
_END = b"\0" * (2 * _BLOCK)

_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}

# What the kernel makes up: not content, and some of it endless.  statfs(2), magic.h.
_KERNEL = frozenset({
    0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x64626720, 0x74726163, 0x73636673, 0xCAFE4A11, 0x6E736673,
    0x19800202, 0x6165676C, 0xDE5E81E4,
})  # fmt: skip

Names = dict[tuple[int, int], str]


class Handle:
    """A descriptor that is closed when nobody has it any more."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


def tar_of(handle: Handle, name: str) -> Iterator[bytes]:
    """What `handle` (O_PATH) is, with everything below it, as pieces of a tar whose entries begin with `name`.

    Shape:  entries are `name` and `name`/...; name "" leaves the top itself out ("etc/", "etc/passwd", ...), and "/"
            gives "/", "/etc/", ...
    Raises: OSError.  Each step blocks briefly.
    """
    return _gathered(_Walk(handle).pieces(name))


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer, larger pieces."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _GATHER_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join((*waiting, _END))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory to be walked: its path beneath the top, what the archive calls it, the device of the one above."""

    path: str
    shown: str
    device: int


class _Walk:
    """One walk.  The handle stays open while somebody has the walk's iterator."""

    def __init__(self, handle: Handle) -> None:
        self._top = handle
        self._names: Names = {}

    def pieces(self, name: str) -> Iterator[bytes]:
        found = os.fstat(self._top.fd)
        if name or not stat.S_ISDIR(found.st_mode):
            yield from _entry(self._top.fd, name, found, self._names)
        waiting = [_Folder(".", name, found.st_dev)] if stat.S_ISDIR(found.st_mode) else []
        while waiting:
            inner: list[_Folder] = []
            yield from self._directory(waiting.pop(), inner)
            waiting += reversed(inner)

    def _directory(self, folder: _Folder, inner: list[_Folder]) -> Iterator[bytes]:
        """The entries of one directory; those that are directories themselves are added to `inner`."""
        try:
            fd = open_beneath(self._top.fd, folder.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            if error.errno in GONE:
                return  # it was taken away, or swapped for something else
            raise
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, fd)
            device = os.fstat(fd).st_dev
            if device != folder.device and filesystem_magic(Path(f"/proc/self/fd/{fd}")) in _KERNEL:
                return
            prefix = f"{folder.shown.rstrip('/')}/" if folder.shown else ""
            for name in sorted(os.listdir(fd)):
                with contextlib.suppress(FileNotFoundError), _opened(name, fd) as one:
                    found = os.fstat(one)
                    yield from _entry(one, prefix + name, found, self._names)
                    if stat.S_ISDIR(found.st_mode):
                        inner.append(_Folder(f"{folder.path}/{name}", prefix + name, device))


@contextlib.contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    """A descriptor (O_PATH) of what is in a directory by that name, a link itself."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def _entry(fd: int, name: str, found: os.stat_result, names: Names) -> Iterator[bytes]:
    """The header of one file, and its content."""
    entry = _header(fd, name, found, names)
    if entry is None:
        return
    yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    if entry.type == tarfile.REGTYPE and entry.size:
        yield from _content(fd, entry.size)


def _content(fd: int, size: int) -> Iterator[bytes]:
    """`size` bytes whatever happens to the file meanwhile: what is missing is zeros."""
    source = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC)
    try:
        left = size
        while left and (data := os.read(source, min(left, CHUNK_BYTES))):
            left -= len(data)
            yield data
    finally:
        os.close(source)
    while left:
        zeros = min(left, CHUNK_BYTES)
        left -= zeros
        yield bytes(zeros)
    yield bytes(-size % _BLOCK)


def _header(fd: int, name: str, found: os.stat_result, names: Names) -> tarfile.TarInfo | None:
    """None for what no tar can hold (sockets)."""
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, stat.S_IMODE(found.st_mode), max(0, int(found.st_mtime))
    entry.uid, entry.gid = found.st_uid, found.st_gid
    if kind != tarfile.DIRTYPE and found.st_nlink > 1:
        first = names.setdefault((found.st_dev, found.st_ino), name)
        if first != name:
            entry.type, entry.linkname = tarfile.LNKTYPE, first
            return entry
    if kind == tarfile.REGTYPE:
        entry.size = found.st_size
        entry.pax_headers = _attributes(fd)
    elif kind == tarfile.SYMTYPE:
        entry.linkname = os.readlink("", dir_fd=fd)
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        entry.devmajor, entry.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    return entry


def _attributes(fd: int) -> dict[str, str]:
    """The extended attributes that belong to a file's content."""
    path = f"/proc/self/fd/{fd}"
    kept: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for name in sorted(os.listxattr(path)):
            if name == "security.capability" or (name.startswith("user.") and not name.startswith("user.overlay.")):
                kept[f"SCHILY.xattr.{name}"] = os.getxattr(path, name).decode("utf-8", "surrogateescape")
    return kept
