"""fsGroup: the group owns what is in a volume, may write it, and owns what is made in it.

Source: Kubernetes v1 API, PodSecurityContext.fsGroup, fsGroupChangePolicy; the kubelet's masks.
"""

from __future__ import annotations

import os
import stat

_READ, _WRITE, _SEARCH = 0o440, 0o660, 0o110


def mask(mode: int, *, read_only: bool) -> int:
    """The permissions that the group gets on top of a file's or directory's own."""
    given = _READ if read_only else _WRITE
    return given | _SEARCH | stat.S_ISGID if stat.S_ISDIR(mode) else given


def give(path: str, gid: int, *, only_if_root_differs: bool = False) -> None:
    """Give everything below `path`, and itself, to the group.  Links are not followed.  Raises OSError."""
    top = os.lstat(path)
    wanted = mask(top.st_mode, read_only=False)
    if only_if_root_differs and top.st_gid == gid and top.st_mode & wanted == wanted:
        return
    for _, directories, files, fd in os.fwalk(path, topdown=False, follow_symlinks=False):
        for name in (*files, *directories):
            _give_one(name, fd, gid)
    os.chown(path, -1, gid)
    os.chmod(path, stat.S_IMODE(top.st_mode) | wanted)


def _give_one(name: str, folder: int, gid: int) -> None:
    found = os.lstat(name, dir_fd=folder)
    os.chown(name, -1, gid, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(name, stat.S_IMODE(found.st_mode) | mask(found.st_mode, read_only=False), dir_fd=folder)
