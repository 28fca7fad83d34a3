"""User namespaces with a range of the host's ids, and views of files in which those ids stand for the files' own.

    first   the host's id that root has inside; `first` + 1 is 1, and so on for COUNT of them

A file of uid 0 seen through such a view belongs to `first`, which inside the namespace is 0 again; what is written
through it as `first` is stored as 0.

Source: user_namespaces(7), mount_setattr(2), open_tree(2); the kernel's Documentation/filesystems/idmappings.rst.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from coracle.linux import mounts
from coracle.linux.libc import syscall
from coracle.linux.rooted import open_in_root

COUNT = 65536  # ids of each namespace, as the kubelet's

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_CLONE, _CLOEXEC = 1, os.O_CLOEXEC
_MOVE_EMPTY_PATH = 4
_ATTR_IDMAP = 0x100000


@dataclass(frozen=True, slots=True)
class Users:
    """A user namespace that is pinned at `path`, and the host's id of its root."""

    path: str
    first: int


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def show(source: str, target: Path, users: Users) -> None:
    """Bind `source` at `target`, which is made, with its files' ids mapped; what is mounted below keeps its own.

    Raises: OSError; EINVAL where the file system of `source` cannot be mapped on this kernel.
    """
    make_place(target, directory=os.path.isdir(source))
    with contextlib.ExitStack() as stack:
        tree = syscall("open_tree", _OPEN_TREE, -100, os.fsencode(source), _CLONE | _CLOEXEC | _AT_RECURSIVE)
        stack.callback(os.close, tree)
        namespace = os.open(users.path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, namespace)
        wanted = _Attributes(attr_set=_ATTR_IDMAP, userns_fd=namespace)
        size = ctypes.sizeof(wanted)
        try:
            syscall("mount_setattr", _MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), size)
        except OSError as error:
            raise OSError(error.errno, _why(source, error)) from None
        syscall("move_mount", _MOVE_MOUNT, tree, b"", -100, os.fsencode(target), _MOVE_EMPTY_PATH)


def hide(directory: Path) -> None:
    """Take away everything that is shown directly in `directory`, and itself.  Idempotent."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            place = directory / name
            mounts.unmount_all(place)
            os.rmdir(place) if place.is_dir() else os.unlink(place)
        os.rmdir(directory)


def hand_over(root_path: str, paths: Iterable[str], users: Users) -> None:
    """Give what the host's root has made on the way to `paths` in a mapped root file system to the root inside.

    Nothing else there belongs to the host's root: the layers are mapped, and who is inside cannot be it.
    """
    root = os.open(root_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # the runtime makes it, as root inside
                _hand_over(root, path, users)
    finally:
        os.close(root)


def _hand_over(root: int, path: str, users: Users) -> None:
    parts = [part for part in path.split("/") if part]
    for number in range(1, len(parts) + 1):
        fd = open_in_root(root, "/".join(parts[:number]), os.O_PATH)
        try:
            if os.fstat(fd).st_uid == 0:
                os.chown(f"/proc/self/fd/{fd}", users.first, users.first)
        finally:
            os.close(fd)


def give_streams(pid: int, uid: int) -> None:
    """Let `uid` of a process's user namespace reopen its standard streams (/dev/stdout).  Raises OSError."""
    first = first_id(pid)
    for number in range(3):
        path = f"/proc/{pid}/fd/{number}"
        if stat.S_ISFIFO(os.stat(path).st_mode):
            os.chown(path, first + uid, -1)


def first_id(pid: int) -> int:
    """The host's id of root in a process's user namespace.  Raises OSError."""
    return int(Path(f"/proc/{pid}/uid_map").read_text().split()[1])


def make_place(target: Path, *, directory: bool) -> None:
    """Something to mount on."""
    target.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    if directory:
        target.mkdir(exist_ok=True)
    else:
        target.touch(exist_ok=True)


def _why(source: str, error: OSError) -> str:
    said = f"failed to set MOUNT_ATTR_IDMAP on {source}: {os.strerror(error.errno or 0).lower()}"
    if error.errno != errno.EINVAL:
        return said
    return f"{said} (maybe the filesystem used doesn't support idmap mounts on this kernel?)"
