"""Network namespaces: made in the calling thread, pinned as files, entered and left again.

Only the calling thread moves, and comes back before the call returns; every thread of the daemon so stays in the
host's network.  A pin is a bind mount in the mount namespace of the caller.

Source: network_namespaces(7), setns(2), unshare(2).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from coracle.linux import mounts, newborn
from coracle.linux.libc import checked, libc

CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"


def make(path: str, users_path: str = "") -> bool:
    """Make a namespace and pin it at `path`; False where one is pinned there already.  Raises OSError.

    `users_path`: where the user namespace is pinned that it belongs to; "": the host's.
    """
    if is_pinned(path):
        return False
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch(mode=0o400)
    if users_path:
        with newborn.waiting("--net", users_path=users_path) as pid:
            mounts.bind(Path(f"/proc/{pid}/ns/net"), Path(path))
        return True
    with _returning():
        mounts.unshare(CLONE_NEWNET)
        mounts.bind(Path(_OWN), Path(path))
    return True


def drop(path: str) -> None:
    """Take the pin away; the namespace goes when nobody is in it any more.  Nothing where there is none."""
    mounts.unmount_all(Path(path))  # a second mount over the first is not ours to keep
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def is_pinned(path: str) -> bool:
    """Whether `path` is a pinned namespace, not the empty file that is left after a restart of the machine."""
    try:
        pinned = os.stat(path)
    except FileNotFoundError:
        return False
    return pinned.st_dev == os.stat(_OWN).st_dev


def pins(directory: Path) -> list[str]:
    """The namespaces pinned below `directory`."""
    found = []
    for line in Path("/proc/thread-self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        place = before.split(" ")[4].encode().decode("unicode_escape")
        if after.startswith("nsfs ") and Path(place).is_relative_to(directory):
            found.append(place)
    return found


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor of the namespace pinned at `path`, for the body.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def entered(path: str) -> Iterator[None]:
    """Be in the namespace pinned at `path`, with this thread, for the body.  Raises OSError."""
    with opened(path) as target, _returning():
        _setns(target)
        yield


@contextlib.contextmanager
def _returning() -> Iterator[None]:
    """Bring this thread back to the namespace it was in."""
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _setns(home)
        finally:
            os.close(home)


def _setns(fd: int) -> None:
    checked(libc.setns(fd, CLONE_NEWNET), "setns")
