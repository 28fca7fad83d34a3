"""Write a layer: a tar of a directory's changes, the same bytes for the same changes.

Names in order, owners by number, whole seconds, no user names: what is left to differ is what differs.

Source: OCI image specification 1.1, "Layers": whiteouts as `.wh.NAME`, opaque directories as `.wh..wh..opq`.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Protocol, cast

from coracle.image.digests import PREFIX
from coracle.image.snapshots.view import is_opaque, is_whiteout
from coracle.linux.walks import walk

WHITEOUT = ".wh."
OPAQUE_ENTRY = ".wh..wh..opq"
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


class Writable(Protocol):
    """Where a layer goes: a file, or a `BlobWriter`."""

    def write(self, data: bytes, /) -> object: ...


class _Hashed:
    """Passes writes on and hashes them: all that tarfile asks of a stream."""

    def __init__(self, out: Writable) -> None:
        self._out = out
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self._out.write(data)


class _Exact:
    """A file that is as long as it was when its header was made, whatever happens to it meanwhile."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        return data + bytes(size - len(data))


def pack(root: Path, out: Writable, *, latest_s: int | None = None, without: Collection[str] = ()) -> str:
    """Write `root`'s content to `out` as an uncompressed layer; its diff id.  `without`: see `api.Packs`.

    Whoever owns the files may be changing them: no link is followed, on the way or at the end.
    Units: no entry is younger than `latest_s` (seconds since 1970), where given: what a build touched looks no newer
           than the packages that it came from.
    """
    hashed = _Hashed(out)
    names: dict[tuple[int, int], str] = {}
    with tarfile.open(
        fileobj=cast("IO[bytes]", hashed),
        mode="w|",
        format=tarfile.PAX_FORMAT,
        bufsize=1 << 20,
        encoding="utf-8",
        errors="surrogateescape",
    ) as archive:
        archive.copybufsize = 1 << 20  # type: ignore[attr-defined]  # small pieces are copied again and again
        for place, path, found in _walk(root):
            entry = _entry(place, path, found, names)
            if entry is None or (f"/{path}" in without and _is_empty(place, entry)):
                continue
            entry.mtime = min(int(found.st_mtime), latest_s) if latest_s is not None else int(found.st_mtime)
            if entry.isreg() and entry.size:
                with open(place, "rb", opener=_open_itself) as file:
                    archive.addfile(entry, cast("IO[bytes]", _Exact(file)))
            else:
                archive.addfile(entry)
            archive.members.clear()  # type: ignore[attr-defined]
            if entry.isdir() and is_opaque(place):
                archive.addfile(_plain(f"{path}/{OPAQUE_ENTRY}", int(entry.mtime)))
    return PREFIX + hashed.hash.hexdigest()


def pack_files(files: dict[str, tuple[bytes, int]], links: dict[str, str], out: Writable, at_s: int) -> str:
    """A layer of a few files given in memory: path -> (content, mode), path -> link target; its diff id."""
    hashed = _Hashed(out)
    with tarfile.open(fileobj=cast("IO[bytes]", hashed), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted({*files, *links}):
            entry = _plain(path, at_s)
            if path in links:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, links[path], 0o777
                archive.addfile(entry)
            else:
                content, entry.mode = files[path]
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return PREFIX + hashed.hash.hexdigest()


def _walk(root: Path) -> Iterator[tuple[str, str, os.stat_result]]:
    """Everything below `root`, parents first: where to open it (good until the next step), its name, what it is."""
    for folder in walk(root):
        for name, found in folder.entries:
            path = f"{folder.path}/{name}" if folder.path else name
            yield f"/proc/self/fd/{folder.fd}/{name}", path, found


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _entry(path: str, name: str, found: os.stat_result, names: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    """The header for one file; None for what a layer cannot hold (sockets)."""
    if is_whiteout(found):
        folder, slash, last = name.rpartition("/")
        return _plain(f"{folder}{slash}{WHITEOUT}{last}", 0)
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uid, entry.gid = kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
    if found.st_nlink > 1 and kind != tarfile.DIRTYPE:
        first = names.setdefault((found.st_dev, found.st_ino), name)
        if first != name:
            entry.type, entry.linkname = tarfile.LNKTYPE, first
            return entry
    if kind == tarfile.REGTYPE:
        entry.size = found.st_size
    elif kind == tarfile.SYMTYPE:
        entry.linkname = os.readlink(path)
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        entry.devmajor, entry.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    entry.pax_headers = _attributes(path)
    return entry


def _attributes(path: str) -> dict[str, str]:
    """The extended attributes that are the image's, not the file system's."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    kept = [name for name in names if name == "security.capability" or name.startswith("user.")]
    return {
        f"SCHILY.xattr.{name}": os.getxattr(path, name, follow_symlinks=False).decode("utf-8", "surrogateescape")
        for name in sorted(kept)
        if not name.startswith("user.overlay.")
    }


def _is_empty(path: str, entry: tarfile.TarInfo) -> bool:
    """Whether that is a file or a directory without content."""
    return (entry.isreg() and not entry.size) or (entry.isdir() and not os.listdir(path))


def _plain(name: str, at_s: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = 0o644, at_s
    return entry
