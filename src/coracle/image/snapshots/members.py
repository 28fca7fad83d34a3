"""Apply the members of a layer's tar to the current root directory: what `untar` does once it is locked in.

Whiteouts become overlayfs' marks; attributes are set in the order in which one does not undo another; what an archive
may not do is refused.  Nothing here imports, or asks for users by name.

Source: OCI image specification 1.1, "Layers"; docker.md 6.3, item 3.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from typing import Any, Literal

CHUNK_BYTES = 1 << 20
MAX_ID = (1 << 32) - 2
MAX_TIME_S = (1 << 34) - 1  # the last second ext4 can hold
OPAQUE = "trusted.overlay.opaque"
_XATTR = "SCHILY.xattr."
_FORGED = ("trusted.overlay.", "user.overlay.")  # would let an image speak to overlayfs

Failure = Literal["invalid", "too-large", "exhausted", "broken"]


class Refused(Exception):
    """The archive is not one that we unpack."""

    def __init__(self, kind: Failure, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Unpacker:
    """Applies members to the current root directory.

    `parents` are descriptors of the unpacked layers below, the topmost first: a directory that the archive implies but
    does not describe gets its attributes from there, and a hard link may point there.
    """

    archive: tarfile.TarFile  # that the members come from

    def __init__(self, parents: list[int], max_entries: int, max_bytes: int) -> None:
        self._parents = parents
        self._entries_left, self._bytes_left = max_entries, max_bytes
        self._made: set[str] = {""}  # directories known to exist as such
        self._times: dict[str, int] = {}  # of directories: set last, since filling them changes them

    def start(self) -> None:
        self._copy_attributes("")

    def apply(self, member: tarfile.TarInfo) -> None:
        self._entries_left -= 1
        if self._entries_left < 0:
            raise Refused("too-large", "layer has too many entries")
        path = clean(member.name)
        folder, _, name = path.rpartition("/")
        if name.startswith(".wh."):
            self._hide(folder, name)
        else:
            self._ensure(folder)
            self._make(path, member)

    def finish(self) -> None:
        for path, time_s in self._times.items():
            try:
                os.utime(path or ".", (time_s, time_s), follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                pass  # replaced by a later entry

    def _hide(self, folder: str, name: str) -> None:
        """A whiteout: it hides what lower layers have, never what this one has."""
        if name == ".wh..wh..opq":
            self._ensure(folder)
            os.setxattr(folder or ".", OPAQUE, b"y")
            return
        hidden = name.removeprefix(".wh.")
        if hidden.startswith(".wh."):
            return  # notes of aufs to itself
        if hidden in ("", ".", ".."):
            raise Refused("invalid", f"whiteout of {hidden!r}")
        self._ensure(folder)
        path = f"{folder}/{hidden}" if folder else hidden
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            os.mknod(path, stat.S_IFCHR, 0)
        else:
            if stat.S_ISDIR(found.st_mode):
                os.setxattr(path, OPAQUE, b"y")

    def _make(self, path: str, member: tarfile.TarInfo) -> None:
        if not path:
            if not member.isdir():
                raise Refused("invalid", "the root of a layer is not a directory")
        else:
            replaced = self._clear(path, keep_directory=member.isdir())
            self._create(path, member)
            if replaced and member.isdir():
                os.setxattr(path, OPAQUE, b"y")
        if not member.islnk():
            self._describe(path, member)

    def _clear(self, path: str, *, keep_directory: bool) -> bool:
        """Make room for an entry; whether a whiteout was there."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(found.st_mode):
            if not keep_directory:
                self._made = {""}
                shutil.rmtree(path)
            return False
        if path in self._made:  # a link to a directory, gone through before
            self._made = {""}
        os.unlink(path)
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0

    def _create(self, path: str, member: tarfile.TarInfo) -> None:
        if member.isdir():
            if path not in self._made and not _is_directory(path):
                os.mkdir(path, 0o700)
            self._made.add(path)
        elif member.islnk():
            self._link(clean(member.linkname), path)
        elif not make_special(member, path):
            self._write(path, member)

    def _write(self, path: str, member: tarfile.TarInfo) -> None:
        self._bytes_left -= member.size  # of a sparse file: with its holes, which the source does not count
        if member.size < 0:
            raise Refused("invalid", f"{member.name[:200]!r} claims a size of {member.size} bytes")
        if self._bytes_left < 0:
            raise Refused("too-large", "layer unpacks to too many bytes")
        content = self.archive.extractfile(member)
        if content is None:
            raise Refused("invalid", f"{member.name[:200]!r} has no content")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb", buffering=0) as file:
            while data := content.read(CHUNK_BYTES):
                file.write(data)

    def _link(self, target: str, path: str) -> None:
        try:
            os.link(target, path, follow_symlinks=False)
        except FileNotFoundError:
            if not self._copy_up(target, path):
                raise Refused("invalid", f"{path[:200]!r} is a hard link to nothing") from None

    def _copy_up(self, target: str, path: str) -> bool:
        """A hard link to a lower layer's file becomes a copy of it."""
        for fd in self._open_below(target, os.O_RDONLY | os.O_NONBLOCK):
            with open(fd, "rb") as source:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    return False
                with open(path, "xb") as copy:
                    shutil.copyfileobj(source, copy, CHUNK_BYTES)
            os.chown(path, found.st_uid, found.st_gid)
            os.chmod(path, stat.S_IMODE(found.st_mode))
            os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))
            return True
        return False

    def _ensure(self, folder: str) -> None:
        """Make the directories on the way that the archive did not bother to describe."""
        if folder in self._made:
            return
        above, _, _ = folder.rpartition("/")
        self._ensure(above)
        try:
            found = os.stat(folder)
        except FileNotFoundError:
            os.mkdir(folder, 0o755)
            self._copy_attributes(folder)
        else:
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:  # hidden before, and now made anew
                os.unlink(folder)
                os.mkdir(folder, 0o755)
                os.setxattr(folder, OPAQUE, b"y")
            elif not stat.S_ISDIR(found.st_mode):
                raise Refused("invalid", f"{folder[:200]!r} is not a directory")
        self._made.add(folder)

    def _copy_attributes(self, folder: str) -> None:
        for fd in self._open_below(folder, os.O_RDONLY | os.O_DIRECTORY):
            found = os.fstat(fd)
            os.close(fd)
            os.chown(folder or ".", found.st_uid, found.st_gid)
            os.chmod(folder or ".", stat.S_IMODE(found.st_mode))
            self._times[folder] = int(found.st_mtime)
            return

    def _open_below(self, path: str, flags: int) -> Any:
        """Descriptors of `path` in the layers below, the topmost first; links on the way are not followed."""
        for parent in self._parents:
            here = os.dup(parent)
            try:
                *folders, name = path.split("/") if path else ["."]
                for folder in folders:
                    inner = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                    os.close(here)
                    here = inner
                fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            except OSError:
                continue
            finally:
                os.close(here)
            yield fd

    def _describe(self, path: str, member: tarfile.TarInfo) -> None:
        """Owner, mode, extended attributes and times, in the order in which one does not undo another."""
        here = path or "."
        if not (0 <= member.uid <= MAX_ID and 0 <= member.gid <= MAX_ID):
            raise Refused("invalid", f"{member.name[:200]!r} belongs to an impossible user")
        os.chown(here, member.uid, member.gid, follow_symlinks=False)
        if not member.issym():
            os.chmod(here, member.mode & 0o7777)
        for name, value in member.pax_headers.items():
            if name.startswith(_XATTR):
                _set_attribute(here, name.removeprefix(_XATTR), value)
        time_s = max(0, min(int(member.mtime), MAX_TIME_S))
        if member.isdir():
            self._times[path] = time_s
        else:
            os.utime(here, (time_s, time_s), follow_symlinks=False)


def clean(name: str) -> str:
    """A member's name relative to the root, without dots.  Raises Refused where it leads out."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise Refused("invalid", f"{name[:200]!r} leads out of the layer")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if any("\0" in part for part in parts):
        raise Refused("invalid", f"{name[:200]!r} is no name")
    return "/".join(parts)


def make_special(entry: tarfile.TarInfo, name: str, dir_fd: int | None = None) -> bool:
    """Make what has no content: a symbolic link, a device, a FIFO.  Whether the entry is one of those."""
    if entry.issym():
        os.symlink(entry.linkname, name, dir_fd=dir_fd)
    elif entry.ischr() or entry.isblk():
        kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
        os.mknod(name, kind | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=dir_fd)
    elif entry.isfifo():
        os.mkfifo(name, 0o600, dir_fd=dir_fd)
    else:
        return False
    return True


def _set_attribute(path: str, name: str, value: str) -> None:
    if name.startswith(_FORGED):
        raise Refused("invalid", f"{path[:200]!r} sets {name[:100]}")
    if name == "security.capability" or name.startswith("user."):
        try:
            os.setxattr(path, name, value.encode("utf-8", "surrogateescape"), follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):  # user.* on links and devices, or not here at all
                raise


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
