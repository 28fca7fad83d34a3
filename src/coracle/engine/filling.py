"""Fill an empty volume with what an image has in its place: "copy-up".

The volume may be somebody else's too, who changes it meanwhile: both sides are walked by descriptors, no link is
followed on either, and what is there already stays.

Source: Docker documentation, "Volumes", "Populate a volume using a container"; moby container/container_unix.go.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from coracle.core.errors import Invalid
from coracle.engine.volumefiles import telling
from coracle.linux.rooted import open_in_root

_CHUNK_BYTES = 1 << 24
_CANNOT_SHARE = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # it may have become a FIFO
_DEPTH = 400  # two of Python's 1000 frames each


def fill(root: str, path: str, target: str) -> None:
    """Copy what is inside `path` of the tree at `root` into the directory `target`, if that is empty.

    Nothing happens where the tree has nothing there.  Raises Invalid (it is no directory), Exhausted, Broken.  Blocks.
    """
    with contextlib.ExitStack() as stack, telling(f"cannot fill a volume from {path}"):
        top = _opened(os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), stack)
        try:
            source = _opened(open_in_root(top, path, os.O_RDONLY | os.O_DIRECTORY), stack)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            said = f"cannot mount volume over existing file, file exists {path}"
            raise Invalid(message=said) from None
        copy = _opened(os.open(target, _DIRECTORY), stack)
        if os.listdir(copy):
            return
        Filler(copy).directory(source, copy, 0)


def copy_tree(source: str, target: str) -> None:
    """Copy what is in one directory into another, which is empty.  Raises OSError.  Blocks."""
    with contextlib.ExitStack() as stack:
        copied = _opened(os.open(source, _DIRECTORY), stack)
        copy = _opened(os.open(target, _DIRECTORY), stack)
        Filler(copy).directory(copied, copy, 0)


def copy_file(source: str, target: str) -> None:
    """Make one file what another is, in place of what it was.  Raises OSError.  Blocks."""
    with contextlib.ExitStack() as stack:
        read = _opened(os.open(source, _FILE), stack)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        written = _opened(os.open(target, flags, 0o600), stack)
        _copy_content(read, written)
        _describe(read, written)


class Filler:
    """Copies trees below one top directory.  Files with several names keep them."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._first: dict[tuple[int, int], str] = {}

    def directory(self, source: int, copy: int, depth: int, path: str = "") -> None:
        if depth > _DEPTH:
            raise OSError(errno.ELOOP, "directories are nested too deep")
        for name in os.listdir(source):
            self._one(source, copy, name, f"{path}/{name}" if path else name, depth)
        _describe(source, copy)

    def _one(self, source: int, copy: int, name: str, path: str, depth: int) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(FileExistsError, FileNotFoundError):
            found = os.stat(name, dir_fd=source, follow_symlinks=False)
            kind = found.st_mode
            if stat.S_ISDIR(kind):
                os.mkdir(name, 0o700, dir_fd=copy)
                inner = _opened(os.open(name, _DIRECTORY, dir_fd=source), stack)
                self.directory(inner, _opened(os.open(name, _DIRECTORY, dir_fd=copy), stack), depth + 1, path)
                return
            if found.st_nlink > 1 and self._link(found, copy, name, path):
                return
            if stat.S_ISREG(kind):
                read = _opened(os.open(name, _FILE, dir_fd=source), stack)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                written = _opened(os.open(name, flags, 0o600, dir_fd=copy), stack)
                _copy_content(read, written)
                _describe(read, written)
            elif stat.S_ISLNK(kind):
                os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=copy)
                _describe_by_name(found, name, copy)
            elif not stat.S_ISSOCK(kind):
                os.mknod(name, kind, found.st_rdev, dir_fd=copy)
                _describe_by_name(found, name, copy)

    def _link(self, found: os.stat_result, copy: int, name: str, path: str) -> bool:
        """Give a file that was copied under another name this one too; whether that worked."""
        first = self._first.setdefault((found.st_dev, found.st_ino), path)
        if first == path:
            return False
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            there = _opened(open_in_root(self._top, first, os.O_PATH | os.O_NOFOLLOW), stack)
            os.link(f"/proc/self/fd/{there}", name, dst_dir_fd=copy, follow_symlinks=True)
            return True
        return False


def _copy_content(read: int, written: int) -> None:
    """Holes stay holes, and blocks are shared where the file system can."""
    size, at = os.fstat(read).st_size, 0
    while at < size:
        try:
            begin = os.lseek(read, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # nothing but a hole is left
        at = os.lseek(read, begin, os.SEEK_HOLE)
        _copy_range(read, written, begin, at)
    os.ftruncate(written, size)


def _copy_range(read: int, written: int, begin: int, end: int) -> None:
    while begin < end:
        count = min(end - begin, _CHUNK_BYTES)
        try:
            copied = os.copy_file_range(read, written, count, begin, begin)
        except OSError as error:
            if error.errno not in _CANNOT_SHARE:
                raise
            os.lseek(written, begin, os.SEEK_SET)
            copied = os.sendfile(written, read, begin, count)
        if not copied:
            return  # it was cut meanwhile
        begin += copied


def _describe(source: int, copy: int) -> None:
    """Owner, mode, extended attributes and times, in the order in which one does not undo another."""
    found = os.fstat(source)
    os.fchown(copy, found.st_uid, found.st_gid)
    os.fchmod(copy, stat.S_IMODE(found.st_mode))
    for name in os.listxattr(source):
        if name == "security.capability" or name.startswith(("user.", "system.posix_acl_")):
            with contextlib.suppress(OSError):  # a volume's file system may know none
                os.setxattr(copy, name, os.getxattr(source, name))
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def _describe_by_name(found: os.stat_result, name: str, copy: int) -> None:
    os.chown(name, found.st_uid, found.st_gid, dir_fd=copy, follow_symlinks=False)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=copy, follow_symlinks=False)


def _opened(fd: int, stack: contextlib.ExitStack) -> int:
    stack.callback(os.close, fd)
    return fd
