"""Making sure that an image cannot lead the runtime's mounts astray.

The runtimes of Debian 12 mount by path inside a root file system that an image has filled.  A /proc that is a symlink,
an /etc/hosts that is a FIFO have led out of containers, or hung daemons, more than once (docker.md 6.2: CVE-2019-19921,
CVE-2021-30465, CVE-2025-31133, CVE-2026-41579, -47766).  So before the runtime is called:

    /dev /proc /sys         must be directories of the image, or be missing; nothing else is accepted
    a file to mount a file on   must be a regular file or missing; a link or anything else is replaced by an empty file
    a place to mount a directory on   must not be a file

Every step is by descriptor and inside the root (openat2 RESOLVE_IN_ROOT); the container does not run yet, so nobody
changes the tree meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
from collections.abc import Iterable

from coracle.core.errors import Invalid
from coracle.linux.rooted import open_in_root
from coracle.runtime.api import Mount

_KERNEL_DIRECTORIES = ("dev", "proc", "sys")
_REPLACED = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")


def secure_targets(rootfs_path: str, mounts: Iterable[Mount]) -> None:
    """Check, and mend what may be mended.  Raises Invalid (the image's path and what it is instead)."""
    with contextlib.ExitStack() as stack:
        try:
            root = os.open(rootfs_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Invalid(message=f"root file system {rootfs_path}: {error.strerror}") from error
        stack.callback(os.close, root)
        for name in _KERNEL_DIRECTORIES:
            _secure_kernel_directory(root, name)
        for mount in mounts:
            if mount.type == "bind" and not _is_covered(mount.target):
                _secure_target(root, mount)


def _secure_kernel_directory(root: int, name: str) -> None:
    try:
        mode = os.stat(name, dir_fd=root, follow_symlinks=False).st_mode
    except FileNotFoundError:
        with contextlib.suppress(OSError):  # a read-only root: the runtime says so in its words
            os.mkdir(name, 0o755, dir_fd=root)
        return
    if not stat.S_ISDIR(mode):
        raise Invalid(message=f"the image's /{name} is {_sort(mode)}, not a directory")


def _secure_target(root: int, mount: Mount) -> None:
    """A bind mount's target: links on the way there lead inside the root only; the last step is looked at itself."""
    directory, name = posixpath.split(posixpath.normpath(mount.target))
    try:
        parent = open_in_root(root, directory, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # the runtime makes it, directory by directory
    except OSError as error:
        raise Invalid(message=f"cannot mount on {mount.target}: {directory}: {error.strerror}") from error
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        _secure_last_step(parent, name, mode, mount)
    except FileNotFoundError:
        return
    finally:
        os.close(parent)


def _secure_last_step(parent: int, name: str, mode: int, mount: Mount) -> None:
    source_is_directory = os.path.isdir(mount.source)
    if stat.S_ISDIR(mode) == source_is_directory and (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return
    if stat.S_ISDIR(mode):
        raise Invalid(message=f"cannot mount the file {mount.source} on {mount.target}: it is a directory")
    if stat.S_ISLNK(mode) and posixpath.normpath(mount.target) not in _REPLACED:
        return  # an ordinary link of an image (/var/run): the runtime follows it inside the root
    if source_is_directory:
        raise Invalid(message=f"cannot mount a directory on {mount.target}: the image has {_sort(mode)} there")
    try:
        os.unlink(name, dir_fd=parent)
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent))
    except OSError as error:
        raise Invalid(message=f"cannot mount on {mount.target}: {error.strerror}") from error


def _is_covered(target: str) -> bool:
    """Whether nothing there is the image's: a file system of the kernel's is mounted before it, or it is no place."""
    root, _, path = posixpath.normpath(target).partition("/")
    return bool(root) or path.partition("/")[0] in _KERNEL_DIRECTORIES


def _sort(mode: int) -> str:
    for test, name in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISREG, "a file"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISDIR, "a directory"),
    ):
        if test(mode):
            return name
    return "a device"
