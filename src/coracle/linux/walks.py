"""Walking a tree that somebody may be changing: no link is followed, and how deep it is costs nothing.

Each directory is opened anew from the top, by a path in which no part may be a link (`rooted.open_beneath`): one
descriptor at a time, no recursion.  What is deeper than a path can say is left out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from coracle.linux.rooted import open_beneath

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Folder(NamedTuple):
    """A directory: its path below the top ("" for the top), a descriptor good until the next step, what is in it."""

    path: str
    fd: int
    entries: list[tuple[str, os.stat_result]]


def walk(top: Path | str) -> Iterator[Folder]:
    """The directories from `top` on, parents first, names in order; who takes entries away keeps us out of them.

    Raises: OSError where `top` cannot be opened.
    """
    root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        waiting = [""]
        while waiting:
            path = waiting.pop()
            fd = _open(root, path)
            if fd is None:
                continue
            try:
                entries = list(_entries(fd))
                yield Folder(path, fd, entries)
            finally:
                os.close(fd)
            inner = [name for name, found in entries if stat.S_ISDIR(found.st_mode)]
            waiting += [f"{path}/{name}" if path else name for name in reversed(inner)]
    finally:
        os.close(root)


def _open(root: int, path: str) -> int | None:
    """None where a directory below the top has gone, or became something else."""
    try:
        return open_beneath(root, path or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in GONE and path:
            return None
        raise


def _entries(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in sorted(os.listdir(fd)):
        with contextlib.suppress(FileNotFoundError):
            yield name, os.stat(name, dir_fd=fd, follow_symlinks=False)
