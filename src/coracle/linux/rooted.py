"""Paths inside somebody else's root file system: opened so that nothing, no symlink and no race, leads out of it.

Source: openat2(2), RESOLVE_IN_ROOT; docker.md 6.2 ("never resolve container paths by string").
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat

from coracle.linux.libc import syscall

_OPENAT2 = 437  # on every architecture
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH, _IN_ROOT = 0x02, 0x04, 0x08, 0x10
_MOST_LINKS = 40  # as the kernel's own MAXSYMLINKS


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def open_in_root(root_fd: int, path: str, flags: int) -> int:
    """Open `path` as a process with that root would.  Links are followed inside the root only.  Raises OSError."""
    return _openat2(root_fd, path, flags, _IN_ROOT | _NO_MAGICLINKS)


def open_within(root: str, path: str, flags: int) -> int:
    """Open `path` below the directory `root`.  Links may lead anywhere inside, absolute ones as the host sees them.

    Raises: OSError (EXDEV: it leads out).
    """
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            return _openat2(root_fd, path, flags, _BENEATH | _NO_MAGICLINKS)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        top, found = os.path.realpath(root), os.path.realpath(os.path.join(root, path))
        if not found.startswith(f"{top}/"):
            raise OSError(errno.EXDEV, f"{path}: {os.strerror(errno.EXDEV)}")
        return open_beneath(root_fd, found.removeprefix(f"{top}/"), flags)  # whoever swaps links meanwhile gets ELOOP
    finally:
        os.close(root_fd)


def open_beneath(fd: int, path: str, flags: int) -> int:
    """Open `path` below the directory `fd`, where no part of it is a link.  Raises OSError (ELOOP: one is)."""
    return _openat2(fd, path, flags, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)


def _openat2(root_fd: int, path: str, flags: int, resolve: int) -> int:
    how = _How(flags | os.O_CLOEXEC, 0, resolve)
    for _ in range(8):
        with contextlib.suppress(BlockingIOError):  # somebody renames directories at this moment
            return syscall(path, _OPENAT2, root_fd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    raise BlockingIOError(errno.EAGAIN, f"{path}: {os.strerror(errno.EAGAIN)}")


def read_in_root(root: str, path: str, limit_bytes: int) -> bytes | None:
    """A regular file that is no link itself; None where there is no such file.

    Raises: OSError (EFBIG where it is larger than `limit_bytes`).
    """
    with contextlib.ExitStack() as stack:
        root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root_fd)
        try:
            found = open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
                return None
            raise
        stack.callback(os.close, found)
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return None  # a link, a FIFO, a device: not even opened
        fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        data = b""
        while len(data) <= limit_bytes and (piece := os.read(fd, limit_bytes + 1 - len(data))):
            data += piece
        if len(data) > limit_bytes:
            raise OSError(errno.EFBIG, f"{path}: larger than {limit_bytes} bytes")
        return data


def make_directories(root: str, path: str) -> str:
    """Make the missing directories of an absolute `path`, as a process with that root would.  Raises OSError.

    Returns where `path` leads, links followed, absolute inside the root.
    """
    with contextlib.ExitStack() as stack:
        root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root_fd)
        parent = make_directory_in_root(root_fd, path, 0o755)
        stack.callback(os.close, parent)
        above, inside = (os.readlink(f"/proc/self/fd/{fd}") for fd in (root_fd, parent))
        return inside.removeprefix(above.rstrip("/")) or "/"


def make_directory_in_root(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Make the missing directories of an absolute `path`; a descriptor (O_PATH) of the last.  Raises OSError."""
    with contextlib.ExitStack() as stack:
        parent, done = os.dup(root_fd), ""
        stack.callback(os.close, parent)
        for part in (part for part in path.split("/") if part not in ("", ".")):
            done += "/" + part
            try:
                parent = open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY)
            except FileNotFoundError:
                if part == "..":
                    raise
                parent = _make_directory(root_fd, parent, done, mode)
            stack.callback(os.close, parent)
        return os.dup(parent)


def _make_directory(root_fd: int, parent: int, path: str, mode: int) -> int:
    """Make the last directory of `path` in `parent`, or find the one that somebody else has just made."""
    try:
        os.mkdir(path.rpartition("/")[2], mode, dir_fd=parent)
    except FileExistsError:
        try:
            return open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            pass
        raise  # a link to nothing
    return open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)


def make_place_in_root(root_fd: int, path: str, *, directory: bool) -> int:
    """A descriptor (O_PATH) of where something is to be mounted: what is there, or an empty directory or file.

    Raises: OSError.
    """
    try:
        return open_in_root(root_fd, path, os.O_PATH)
    except FileNotFoundError:
        folder, _, name = path.rstrip("/").rpartition("/")
        parent = make_directory_in_root(root_fd, folder or "/")
        try:
            with contextlib.suppress(FileExistsError):
                if directory:
                    os.mkdir(name, 0o755, dir_fd=parent)
                else:
                    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent))
        finally:
            os.close(parent)
        return open_in_root(root_fd, path, os.O_PATH)


def resolve_in_root(root_fd: int, path: str) -> str:
    """Where `path` leads with all links followed, as a process with that root would; absolute inside the root.

    What is missing, or cannot be looked at, counts as no link.
    """
    done: list[str] = []
    left = path.split("/")[::-1]
    links = 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done[:-1]
            continue
        target = _link_in_root(root_fd, "/".join((*done, part)))
        if target is None or links == _MOST_LINKS:
            done.append(part)
            continue
        links += 1
        done = [] if target.startswith("/") else done
        left += target.split("/")[::-1]
    return "/" + "/".join(done)


def _link_in_root(root_fd: int, path: str) -> str | None:
    """What the link at `path` says; None where there is none."""
    try:
        fd = open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.readlink("", dir_fd=fd) if stat.S_ISLNK(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)
