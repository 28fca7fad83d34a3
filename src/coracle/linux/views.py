"""A look at a directory tree with other trees bound into it, that nobody else sees and that nothing is left of.

The binds are made in a mount namespace which no process is in: a thread of its own makes it, mounts, opens the tree's
root, and ends.  The namespace lives as long as the View's descriptors; if the process dies it is gone with it.

Source: mount_namespaces(7), unshare(2); docker.md 6.2 ("operate from ... descriptors, never by string").
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from coracle.linux import mounts
from coracle.linux.rooted import make_place_in_root, open_in_root

_REMOUNT_RO = mounts.MS_BIND | mounts.MS_REMOUNT | mounts.MS_RDONLY


@dataclass(frozen=True, slots=True)
class Bind:
    """`source`, a path of the host, seen at `target`, an absolute path in the tree."""

    source: str
    target: str
    read_only: bool = False


class View:
    """`root` is a descriptor of the tree's root, to be used with `rooted.open_in_root`.  A context manager.

    Who works in a thread takes it by `borrowed`: the view may be closed by a loop that does not wait for the thread.
    """

    def __init__(self, root: int, namespace: int = -1) -> None:
        self.root, self._namespace = root, namespace

    def close(self) -> None:
        for fd in (self.root, self._namespace):
            if fd >= 0:
                os.close(fd)
        self.root = self._namespace = -1

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[int]:
        """`root` under a number of the borrower's own, which stays what it is when the view is closed meanwhile."""
        fd = os.dup(self.root)
        try:
            yield fd
        finally:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> View:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_plain(path: str) -> View:
    """A view of the tree at `path` as it is.  Raises OSError."""
    return View(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def open_bound(path: str, binds: Sequence[Bind], *, read_only: bool = False) -> View:
    """A view of the tree at `path` with `binds` in it; `read_only` of the tree itself, not of the binds.

    A bind whose source is missing is left out; a missing target is made, where the tree can be written.
    Blocks.  Raises OSError.
    """
    made: list[View] = []
    failed: list[OSError] = []

    def work() -> None:
        try:
            made.append(_open_bound(path, binds, read_only=read_only))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="view")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _open_bound(path: str, binds: Sequence[Bind], *, read_only: bool) -> View:
    """For a thread that ends afterwards: it never comes back from the new namespace."""
    mounts.unshare(mounts.CLONE_NEWNS)
    mounts.mount("none", Path("/"), flags=mounts.MS_REC | mounts.MS_PRIVATE)
    with contextlib.ExitStack() as undo:
        mounts.bind(Path(path), Path(path))
        root = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        undo.callback(os.close, root)
        for bind in sorted(binds, key=lambda bind: bind.target.count("/")):
            with contextlib.suppress(FileNotFoundError):
                _bind(root, bind)
        if read_only:
            mounts.mount("none", Path(path), flags=_REMOUNT_RO)
        namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        undo.pop_all()
        return View(root, namespace)


def _bind(root: int, bind: Bind) -> None:
    with contextlib.ExitStack() as stack:
        source = os.open(bind.source, os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, source)
        target = make_place_in_root(root, bind.target, directory=stat.S_ISDIR(os.fstat(source).st_mode))
        stack.callback(os.close, target)
        place = Path(f"/proc/thread-self/fd/{target}")
        mounts.mount("none", place, source=f"/proc/thread-self/fd/{source}", flags=mounts.MS_BIND | mounts.MS_REC)
    if bind.read_only:
        with contextlib.ExitStack() as stack:
            over = open_in_root(root, bind.target, os.O_PATH)
            stack.callback(os.close, over)
            mounts.mount("none", Path(f"/proc/thread-self/fd/{over}"), flags=_REMOUNT_RO)
