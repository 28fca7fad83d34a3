"""Paths of the host that pods ask for: what must be there, and what passes on.  Everything here blocks.

Source: Kubernetes documentation, "Volumes": hostPath, mount propagation.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from coracle.core.errors import Broken, Invalid, NotFound
from coracle.linux import mounts

# What Kubernetes calls each type, and what it is.
_CHECKS = {
    "Directory": ("directory", stat.S_ISDIR),
    "DirectoryOrCreate": ("directory", stat.S_ISDIR),
    "File": ("file", stat.S_ISREG),
    "FileOrCreate": ("file", stat.S_ISREG),
    "Socket": ("socket", stat.S_ISSOCK),
    "CharDevice": ("character device", stat.S_ISCHR),
    "BlockDevice": ("block device", stat.S_ISBLK),
}


def check(path: str, type: str) -> None:
    """Raises Invalid (no such type; there is something else), NotFound; ...OrCreate make what is missing."""
    if type not in _CHECKS:
        raise Invalid(message=f"hostPath type check failed: unknown type {type[:40]!r}")
    word, fits = _CHECKS[type]
    if type == "DirectoryOrCreate":
        with contextlib.suppress(FileExistsError):
            os.makedirs(path, mode=0o755)
    elif type == "FileOrCreate":
        with contextlib.suppress(FileExistsError, IsADirectoryError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644))
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise NotFound(f"hostPath type check failed: {path} is not a {word}", kind="HostPath", name=path) from None
    if not fits(found.st_mode):
        raise Invalid(message=f"hostPath type check failed: {path} is not a {word}")


def is_block(path: str) -> bool:
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def pass_on(path: str) -> bool:
    """Let mounts below the directory be seen by all who have it from us; False where it is not done.  Raises Broken."""
    place = Path(os.path.realpath(path))
    try:
        if not place.is_dir() or (not mounts.is_mount_point(place) and mounts.any_below(place)):
            return False  # what is mounted there would be hidden from who has mounted it
        if not mounts.is_mount_point(place):
            mounts.bind(place, place)
        mounts.mount("none", place, flags=mounts.MS_REC | mounts.MS_SHARED)
    except OSError as error:
        raise Broken(f"cannot share {path}: {error.strerror}") from error
    return True
