"""Copies files into a root file system that is being built: what COPY and ADD do.

Destinations are opened below the root's descriptor with links resolved inside of it, so that no link of the image leads
out.  Contents, modes, times and capabilities are kept; owners are those asked for.  Everything here blocks.
Source: Dockerfile reference, "COPY", "ADD".
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import shutil
import stat
from dataclasses import dataclass

from coracle.core.errors import Exhausted, Invalid
from coracle.engine.builds.archives import make_folder
from coracle.engine.builds.sources import CAPABILITY, CHUNK_BYTES, Found, opened, printable, walk
from coracle.image.dockerfile.ignore import NOTHING, Ignore


@dataclass(frozen=True, slots=True)
class Manner:
    """`owner`: (uid, gid).  `mode` None: as it was.  `parents`: below the destination the source's own path is kept."""

    owner: tuple[int, int] = (0, 0)
    mode: int | None = None
    ignore: Ignore = NOTHING
    parents: bool = False


def destination(workdir: str, dest: str, *, several: bool, command: str = "COPY") -> str:
    """Where to copy to, absolute, with its slash at the end where it was given.  Raises Invalid."""
    into = dest.endswith("/") or posixpath.basename(dest) in (".", "..")
    if several and not into:
        why = "the destination must be a directory and end with a /"
        raise Invalid(message=f"When using {command} with more than one source file, {why}")
    if "\0" in dest:
        raise Invalid(message=f"{command} failed: invalid path")
    whole = posixpath.normpath(posixpath.join("/", workdir, dest))
    return "/" + whole.strip("/") + ("/" if into and whole.strip("/") else "")


def copy(source_fd: int, source: Found, root_fd: int, dest: str, manner: Manner) -> None:
    """Copy one source to `dest`: into it where it is a directory or ends with a slash.  Raises Invalid, Exhausted."""
    try:
        _copy(source_fd, source, root_fd, dest, manner)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Exhausted("no space left on device") from error
        raise Invalid(message=f"failed to copy files: {error.strerror}: {dest[:200]}") from error


def is_folder(root_fd: int, dest: str) -> bool:
    """Whether `dest` is to be copied into: it ends with a slash, or there is a directory."""
    if dest.endswith("/"):
        return True
    try:
        with opened(root_fd, dest, os.O_PATH) as fd:
            return stat.S_ISDIR(os.fstat(fd).st_mode)
    except OSError:
        return False


def _copy(source_fd: int, source: Found, root_fd: int, dest: str, manner: Manner) -> None:
    base = dest.strip("/")
    if manner.parents:
        base = f"{base}/{source.path if source.is_directory else source.path.rpartition('/')[0]}".strip("/")
    elif not source.is_directory and not is_folder(root_fd, dest):
        base, _, name = base.rpartition("/")
        return _copy_file(source_fd, source, root_fd, (base, name), manner)
    if not source.is_directory:
        return _copy_file(source_fd, source, root_fd, (base, source.name), manner)
    os.close(make_folder(root_fd, base, manner.owner))
    folders: list[tuple[str, os.stat_result]] = []
    for path, parent, name in walk(source_fd, source, manner.ignore):
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        target = f"{base}/{path}".strip("/")
        _copy_one((parent, name), (root_fd, target), found, manner)
        if stat.S_ISDIR(found.st_mode):
            folders.append((target, found))
    for path, found in reversed(folders):
        with contextlib.suppress(OSError), _folder(root_fd, path) as fd:
            os.utime(fd, ns=(found.st_mtime_ns, found.st_mtime_ns))
    return None


def _copy_file(source_fd: int, source: Found, root_fd: int, to: tuple[str, str], manner: Manner) -> None:
    os.close(make_folder(root_fd, to[0], manner.owner))
    for _, parent, name in walk(source_fd, source, manner.ignore):
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        _copy_one((parent, name), (root_fd, "/".join(to).strip("/")), found, manner)


def _folder(root_fd: int, path: str) -> contextlib.AbstractContextManager[int]:
    return opened(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)


def _copy_one(source: tuple[int, str], target: tuple[int, str], found: os.stat_result, manner: Manner) -> None:
    """One entry: from a name in a directory to a path below the root; a directory without what is in it."""
    (parent, name), (root_fd, path) = source, target
    kind = stat.S_IFMT(found.st_mode)
    folder, _, last = path.rpartition("/")
    with _folder(root_fd, folder) as fd:
        present = _kind(fd, last)
        if kind == stat.S_IFSOCK or (kind == stat.S_IFDIR and present == stat.S_IFLNK and is_folder(root_fd, path)):
            return  # a link to a directory: it goes on where that leads inside the root
        if kind != stat.S_IFDIR:
            _clear(fd, last, present)
            _make(parent, name, fd, last, found)
        elif present != stat.S_IFDIR:
            _clear(fd, last, present)
            os.mkdir(last, 0o700, dir_fd=fd)
        os.chown(last, *manner.owner, dir_fd=fd, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(last, manner.mode if manner.mode is not None else stat.S_IMODE(found.st_mode), dir_fd=fd)
        if kind == stat.S_IFREG:
            _copy_capability(parent, name, fd, last)
        os.utime(last, ns=(found.st_mtime_ns, found.st_mtime_ns), dir_fd=fd, follow_symlinks=False)


def _kind(fd: int, name: str) -> int:
    """What is there, links not followed; 0 for nothing."""
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return 0


def _clear(fd: int, name: str, present: int) -> None:
    """Make room for an entry that is not what is there."""
    if present == stat.S_IFDIR:
        raise Invalid(message=f"failed to copy files: cannot copy to directory: {printable(name)}")
    if present:
        os.unlink(name, dir_fd=fd)


def _make(parent: int, name: str, fd: int, last: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=parent), last, dir_fd=fd)
    elif stat.S_ISREG(found.st_mode):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent), "rb", buffering=0) as source,
            open(os.open(last, flags, 0o600, dir_fd=fd), "wb", buffering=0) as target,
        ):
            _copy_content(source.fileno(), target.fileno(), found.st_size)
    elif stat.S_ISFIFO(found.st_mode):
        os.mkfifo(last, 0o600, dir_fd=fd)
    else:
        os.mknod(last, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=fd)


def _copy_content(source: int, target: int, size_bytes: int) -> None:
    left = size_bytes
    while left > 0:
        try:
            done = os.copy_file_range(source, target, min(left, 1 << 30))
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            break
        if done == 0:
            return
        left -= done
    with open(source, "rb", buffering=0, closefd=False) as reader, open(target, "wb", buffering=0, closefd=False) as to:
        shutil.copyfileobj(reader, to, CHUNK_BYTES)


def _copy_capability(parent: int, name: str, fd: int, last: str) -> None:
    with contextlib.suppress(OSError):
        value = os.getxattr(f"/proc/self/fd/{parent}/{name}", CAPABILITY, follow_symlinks=False)
        os.setxattr(f"/proc/self/fd/{fd}/{last}", CAPABILITY, value, follow_symlinks=False)
