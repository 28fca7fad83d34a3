"""Extract a tar into a file system that a container owns, while it may be changing everything in it.

Directories on the way are resolved in the container's root (`rooted`), so that links mean what they mean to the
container; everything else happens by name in an open directory and follows nothing.  What exists is replaced, as
`docker cp` does; directories are joined.  What an archive may not say is refused before anything is made of it.

Source: moby pkg/archive (createTarFile, Unpack); docker.md 6.3 items 3 and 6.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tarfile

from coracle.core.errors import Broken, CloudError, Exhausted, Invalid, Malformed, TooLarge
from coracle.engine.archives.packed import ERRORS, unpacked
from coracle.image.snapshots.entries import Readable, entries
from coracle.image.snapshots.members import CHUNK_BYTES, MAX_ID, MAX_TIME_S, Refused, clean, make_special
from coracle.linux.rooted import make_directory_in_root, open_in_root

_XATTR = "SCHILY.xattr."
_FORGED = ("trusted.", "user.overlay.")
_REGULAR = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Extraction:
    """`base` is a directory of the container, links resolved; `owner` owns all that is made, None as the archive says.

    `keeps_kinds`: no directory is replaced by something else, and nothing else by a directory.
    """

    def __init__(self, base: str, *, owner: tuple[int, int] | None = None, keeps_kinds: bool = False) -> None:
        self._root, self._base = -1, base
        self._owner, self._keeps_kinds = owner, keeps_kinds
        self._folder, self._parent = "", -1
        self._times: list[tuple[str, int]] = []  # of directories: set last, since filling them changes them

    def run(self, root: int, source: Readable) -> None:
        """Extract everything into the file system with that root.  Blocks.

        Raises: Malformed (no tar, or one that leads out), Invalid (it does not fit what is there), Exhausted, Broken;
                what was made by then stays.
        """
        self._root = root
        try:
            for archive, member in entries(unpacked(source)):
                self._apply(archive, member)
            self._set_times()
        except (tarfile.TarError, *ERRORS) as error:
            raise Malformed(f"archive/tar: invalid tar header: {error}") from error
        except Refused as error:
            raise (TooLarge if error.kind == "too-large" else Malformed)(str(error)) from error
        except OSError as error:
            raise _told(error) from error
        except RecursionError as error:
            raise Invalid(message="directories are nested too deep to be replaced") from error
        finally:
            self._leave()

    def _apply(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = clean(member.name)
        if not path:
            return  # the directory itself, which is there
        if not (0 <= member.uid <= MAX_ID and 0 <= member.gid <= MAX_ID):
            raise Malformed(f"{path[:200]!r} belongs to an impossible user")
        attributes = _attributes(member)
        folder, _, name = path.rpartition("/")
        parent = self._enter(folder)
        if not self._make_room(parent, name, path, member):
            self._write(archive, member, os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, dir_fd=parent))
            return
        self._create(archive, member, parent, name)
        if not member.islnk():
            self._describe(member, parent, name, path, attributes)

    def _enter(self, folder: str) -> int:
        """A descriptor of the directory `folder` below the base; it and those above are made if they are missing."""
        if self._parent < 0 or folder != self._folder:
            self._leave()
            self._parent = make_directory_in_root(self._root, f"{self._base}/{folder}")
            self._folder = folder
        return self._parent

    def _leave(self) -> None:
        if self._parent >= 0:
            os.close(self._parent)
        self._parent = -1

    def _make_room(self, parent: int, name: str, path: str, member: tarfile.TarInfo) -> bool:
        """Take away what the entry replaces; False where that is a file something is mounted on: it is written into."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return True
        there = stat.S_ISDIR(found.st_mode)
        if self._keeps_kinds and there != member.isdir():
            first, second = ("directory", "non-directory") if there else ("non-directory", "directory")
            raise Invalid(message=f'cannot overwrite {first} "/{path}" with {second} "{self._base}"')
        if there and member.isdir():
            return True
        try:
            if there:
                self._leave_if_below(path)
                shutil.rmtree(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)
        except OSError as error:
            if error.errno == errno.EBUSY and stat.S_ISREG(found.st_mode) and member.isreg():
                return False
            raise
        return True

    def _leave_if_below(self, path: str) -> None:
        if f"{self._folder}/".startswith(f"{path}/"):
            self._leave()

    def _create(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
        if member.isdir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
        elif member.islnk():
            self._link(clean(member.linkname), parent, name)
        elif not make_special(member, name, parent):
            self._write(archive, member, os.open(name, _REGULAR, 0o600, dir_fd=parent))

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, fd: int) -> None:
        with open(fd, "wb", buffering=0) as file:
            content = archive.extractfile(member)
            while content is not None and (data := content.read(CHUNK_BYTES)):
                file.write(data)

    def _link(self, target: str, parent: int, name: str) -> None:
        there = open_in_root(self._root, f"{self._base}/{target}", os.O_PATH | os.O_NOFOLLOW)
        try:
            os.link(f"/proc/self/fd/{there}", name, dst_dir_fd=parent, follow_symlinks=True)
        finally:
            os.close(there)

    def _describe(
        self, member: tarfile.TarInfo, parent: int, name: str, path: str, attributes: list[tuple[str, bytes]]
    ) -> None:
        """Owner, mode, extended attributes and times, in the order in which one does not undo another."""
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            uid, gid = self._owner or (member.uid, member.gid)
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
            here = f"/proc/self/fd/{fd}"
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                os.chmod(here, member.mode & 0o7777)
                for key, value in attributes:
                    _set_attribute(here, key, value)
        finally:
            os.close(fd)
        time_s = max(0, min(int(member.mtime), MAX_TIME_S))
        if member.isdir():
            self._times.append((path, time_s))
        else:
            os.utime(name, (time_s, time_s), dir_fd=parent, follow_symlinks=False)

    def _set_times(self) -> None:
        for path, time_s in reversed(self._times):
            with contextlib.suppress(OSError):  # the container may have moved it away
                fd = open_in_root(self._root, f"{self._base}/{path}", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    os.utime(f"/proc/self/fd/{fd}", (time_s, time_s))
                finally:
                    os.close(fd)


def _attributes(member: tarfile.TarInfo) -> list[tuple[str, bytes]]:
    """The extended attributes to set.  Raises Malformed where one would speak to overlayfs."""
    kept = []
    for key, value in member.pax_headers.items():
        name = key.removeprefix(_XATTR)
        if not key.startswith(_XATTR):
            continue
        if name.startswith(_FORGED):
            raise Malformed(f"{member.name[:200]!r} sets {name[:100]}, which no archive may")
        if name == "security.capability" or name.startswith("user."):
            kept.append((name, value.encode("utf-8", "surrogateescape")))
    return kept


def _set_attribute(path: str, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise


def _told(error: OSError) -> CloudError:
    said = f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")
    if error.errno is None:  # bz2's way to say that it is none
        return Malformed(f"archive/tar: invalid tar header: {error}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Exhausted("no space left on device")
    if error.errno == errno.EROFS:
        return Malformed("mounted volume is marked read-only")
    no_place = (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EEXIST, errno.EISDIR, errno.ENOENT, errno.EBUSY,
                errno.EINVAL, errno.EXDEV, errno.EPERM)  # fmt: skip
    return Invalid(message=said) if error.errno in no_place else Broken(said)
