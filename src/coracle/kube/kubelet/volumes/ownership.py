"""fsGroup: the group owns what is in a volume, may write it, and owns what is made in it.

Source: Kubernetes v1 API, PodSecurityContext.fsGroup, fsGroupChangePolicy; the kubelet's masks.
"""

from __future__ import annotations

import os
import stat

from coracle.linux.walks import walk

_READ, _WRITE, _SEARCH = 0o440, 0o660, 0o110


def mask(mode: int, *, read_only: bool) -> int:
    """The permissions that the group gets on top of a file's or directory's own."""
    given = _READ if read_only else _WRITE
    return given | _SEARCH | stat.S_ISGID if stat.S_ISDIR(mode) else given


def give(path: str, gid: int, *, only_if_root_differs: bool = False) -> None:
    """Give everything below `path`, and itself, to the group, whoever changes it meanwhile.  Links are not followed.

    Raises: OSError.
    """
    root = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        top = os.fstat(root)
        wanted = mask(top.st_mode, read_only=False)
        if only_if_root_differs and top.st_gid == gid and top.st_mode & wanted == wanted:
            return
        if stat.S_ISDIR(top.st_mode):
            for folder in walk(path):
                for name, _ in folder.entries:
                    _give_one(name, folder.fd, gid)
        _give(root, gid)
    finally:
        os.close(root)


def _give_one(name: str, folder: int, gid: int) -> None:
    try:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        _give(fd, gid)
    finally:
        os.close(fd)


def _give(fd: int, gid: int) -> None:
    """What is open at `fd` (O_PATH) is what changes, and nothing that takes its name."""
    mode, itself = os.fstat(fd).st_mode, f"/proc/self/fd/{fd}"
    os.chown(itself, -1, gid)
    if not stat.S_ISLNK(mode):
        os.chmod(itself, stat.S_IMODE(mode) | mask(mode, read_only=False))
