"""Unpack archives that somebody has sent, into a directory that nothing leads out of: build contexts, and ADD's.

Every path is opened below the root's descriptor with links resolved inside of it (openat2), so that no entry can mean a
file elsewhere, whatever links came before it.  Blocks: call from a thread.
Source: docker.md 6.2 and 6.3, items 3 and 4.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from coracle.core.errors import CloudError, Exhausted, Invalid, TooLarge
from coracle.engine.builds.packed import DAMAGE, Bounded, Limits
from coracle.engine.builds.sources import printable
from coracle.image.snapshots.entries import entries
from coracle.image.snapshots.members import Refused, make_special
from coracle.linux.rooted import open_in_root

CHUNK_BYTES = 1 << 20
_XATTR_CAPABILITY = "security.capability"


class Unpacker:
    """Unpacks into the directory `prefix` of the root that `root_fd` is.

    `owner`: who everything belongs to; None: whom the archive says.  `digests`: of regular files, by path, afterwards.
    Existing files are replaced, existing directories filled.
    """

    def __init__(
        self, root_fd: int, prefix: str = "", owner: tuple[int, int] | None = (0, 0), limits: Limits | None = None
    ) -> None:
        self._root_fd, self._prefix, self._owner = root_fd, prefix.strip("/"), owner
        self._limits = limits or Limits()
        self._parent: tuple[str, int] | None = None
        self._times: dict[str, float] = {}
        self.digests: dict[str, str] = {}

    def unpack(self, file: BinaryIO) -> None:
        """Raises Invalid (damaged, or not to be unpacked), TooLarge, Exhausted, Broken."""
        try:
            with contextlib.closing(self):
                self._unpack(Bounded(file, self._limits))
        except CloudError:
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Exhausted("no space left on device") from error
            if error.errno is None:  # a decompressor's
                raise Invalid(message=f"the archive is damaged: {printable(str(error))}") from None
            raise Invalid(message=f"the archive cannot be unpacked: {printable(str(error))}") from None
        except DAMAGE as error:
            raise Invalid(message=f"the archive is damaged: {printable(str(error))}") from None
        except (OverflowError, RecursionError, MemoryError, UnicodeError) as error:
            raise Invalid(message=f"the archive is damaged: {type(error).__name__}") from None
        except Refused as error:
            raise Invalid(message=f"the archive is damaged: {printable(str(error))}") from None

    def close(self) -> None:
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None

    def _unpack(self, source: Bounded) -> None:
        for number, (archive, member) in enumerate(entries(source), start=1):
            if number > self._limits.max_entries:
                raise TooLarge(f"the archive has more than {self._limits.max_entries} entries")
            self._apply(archive, member)
            source.check(member)
        for path, time_s in reversed(self._times.items()):
            with contextlib.suppress(OSError), self._opened(path) as fd:
                os.utime(fd, (time_s, time_s))

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        fd = open_in_root(self._root_fd, path or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    def _apply(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = clean(member.name)
        if not path:
            return
        folder, _, name = path.rpartition("/")
        parent = self._folder(f"{self._prefix}/{folder}".strip("/"))
        self._clear(parent, name, keep_directory=member.isdir())
        self.digests.pop(path, None)
        if member.isdir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=parent)
            self._times[f"{self._prefix}/{path}"] = _time(member)
        elif member.islnk():
            self._link(member, parent, name, path)
            return
        elif member.isreg():
            self.digests[path] = self._write(archive, member, parent, name)
        elif not make_special(member, name, parent):
            return
        self._describe(member, parent, name)

    def _folder(self, folder: str) -> int:
        """A descriptor of a directory, made with those above it where they are missing."""
        if self._parent is None or self._parent[0] != folder:
            fd = make_folder(self._root_fd, folder, self._owner or (0, 0))
            self.close()
            self._parent = (folder, fd)
        return self._parent[1]

    def _clear(self, parent: int, name: str, *, keep_directory: bool) -> None:
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=parent)
        elif not keep_directory:
            raise Invalid(message=f"the archive has a file where there is a directory: {printable(name)}")

    def _link(self, member: tarfile.TarInfo, parent: int, name: str, path: str) -> None:
        target = clean(member.linkname)
        folder, _, last = target.rpartition("/")
        try:
            with self._opened(f"{self._prefix}/{folder}".strip("/")) as fd:
                os.link(last, name, src_dir_fd=fd, dst_dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise Invalid(message=f"the archive has a link to nothing: {printable(path)}") from None
        if target in self.digests:
            self.digests[path] = self.digests[target]

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> str:
        content = archive.extractfile(member)
        if content is None:
            raise Invalid(message=f"{member.name[:200]!r} has no content")
        found = hashlib.sha256()
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        with open(fd, "wb", buffering=0) as file:
            while data := content.read(CHUNK_BYTES):
                found.update(data)
                file.write(data)
        return found.hexdigest()

    def _describe(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        uid, gid = self._owner or (member.uid, member.gid)
        if not (0 <= uid < 1 << 32 and 0 <= gid < 1 << 32):
            raise Invalid(message=f"{member.name[:200]!r} belongs to an impossible user")
        os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
        if not member.issym():
            os.chmod(name, member.mode & 0o7777, dir_fd=parent)
        value = member.pax_headers.get(f"SCHILY.xattr.{_XATTR_CAPABILITY}")
        if value and member.isreg():
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            with contextlib.suppress(OSError), contextlib.closing(os.fdopen(fd)):
                os.setxattr(fd, _XATTR_CAPABILITY, value.encode("utf-8", "surrogateescape"))
        if not member.isdir():
            time_s = _time(member)
            os.utime(name, (time_s, time_s), dir_fd=parent, follow_symlinks=False)


def clean(name: str) -> str:
    """A path without detours, relative to the root; "" for the root itself.  Raises Invalid."""
    if len(name) > 4096 or "\0" in name:
        raise Invalid(message="the archive has an impossible name")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Invalid(message=f"the archive has a path that leads out of it: {name[:200]!r}")
    return "/".join(parts)


def make_folder(root_fd: int, folder: str, owner: tuple[int, int], mode: int = 0o755) -> int:
    """A descriptor of a directory below the root, links followed inside of it; what is missing is made."""
    try:
        return open_in_root(root_fd, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        above, _, name = folder.rpartition("/")
    parent = make_folder(root_fd, above, owner, mode)
    try:
        os.mkdir(name, mode, dir_fd=parent)
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)
    return open_in_root(root_fd, folder, os.O_RDONLY | os.O_DIRECTORY)


def _time(member: tarfile.TarInfo) -> float:
    return max(0.0, min(float(member.mtime), float((1 << 34) - 1)))
