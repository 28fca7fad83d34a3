"""Ending a cloud from outside, whether its daemon lives or not: processes, links, rules, groups, mounts; and its files.

Called by `coracle down`.  Asks no daemon and trusts no record: everything of a cloud is found by its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from coracle.engine.sharing import end_holder
from coracle.linux import loops, quick_groups
from coracle.linux import namespaces as homes
from coracle.linux.cgroups import Cgroup, children
from coracle.linux.removal import remove_tree
from coracle.net.nft.driver import NftDriver
from coracle.node import podlogs
from coracle.node.config import CACHE, Settings, clouds, kept_path, unregister
from coracle.node.marks import QUICK_GROUPS, cgroup_path, marks

_KILLED_S = 10.0


def sweep(settings: Settings, grace_s: float) -> int:
    """End everything that runs and take it out of the kernel; the state in `root` stays.

    Containers get SIGTERM and `grace_s`, then SIGKILL.  Returns how many there were.  The daemon has ended before.
    """
    ended = _end_containers(settings, grace_s)
    asyncio.run(NftDriver(marks(settings)).purge())
    homes.release_home(settings.run)
    with contextlib.suppress(OSError):
        loops.detach_below(settings.root)
    shutil.rmtree(settings.run, ignore_errors=True)
    return ended


def purge(settings: Settings) -> None:
    """Remove the files of a swept cloud: state, images, volumes.

    With the last cloud go the machine's image cache, the option for quick control groups and the places for pods' logs.
    """
    with contextlib.suppress(OSError):
        _remove_files(settings.root)
    if set(clouds()) <= {settings.name}:
        with contextlib.suppress(OSError):
            quick_groups.take_back(QUICK_GROUPS)
        podlogs.take_back()
    unregister(settings.name)
    if settings.cache == CACHE and not clouds():
        shutil.rmtree(settings.cache, ignore_errors=True)


def _remove_files(root: Path) -> None:
    """Last what tells that this is a cloud: whoever is interrupted can purge it again.  Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        for path in root.iterdir():
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)
            elif path != kept_path(root):
                path.unlink()
    remove_tree(root)


def end_groups(top: str, grace_s: float, others: Iterable[int] = ()) -> int:
    """End what runs in the groups below `top`, and remove them all; `others` are waited for too.

    Returns how many groups there were.
    """
    groups = [Cgroup(path) for path in children(top)]
    pids = [pid for group in groups for pid in group.pids()]
    for group in groups:
        group.thaw()
        group.signal_all(signal.SIGTERM)
    _wait_gone(pids, grace_s)
    for group in groups:
        group.signal_all(signal.SIGKILL)
    _wait_gone([*pids, *others], _KILLED_S)
    for group in groups:
        group.remove()
    Cgroup(top).remove()
    return len(groups)


def _end_containers(settings: Settings, grace_s: float) -> int:
    top, monitors = cgroup_path(settings), list(_monitors(settings.run))
    ended = end_groups(top, grace_s, monitors)
    for path in settings.run.glob("shared/*/pause"):
        end_holder(path.parent)
    for pid in monitors:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    above = str(Path(top).parent)
    with contextlib.suppress(OSError):
        if not children(above):
            Cgroup(above).remove()
    return ended


def _monitors(run: Path) -> Iterable[int]:
    """The conmons of the cloud's containers."""
    for path in run.glob("bundles/*/monitor"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text())
            if Path(f"/proc/{pid}/comm").read_text().strip() == "conmon":
                yield pid


def _wait_gone(pids: Iterable[int], patience_s: float) -> None:
    """Until the processes have ended, or patience has."""
    until_s = time.monotonic() + patience_s
    with contextlib.ExitStack() as stack:
        left = set()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(pid)
                stack.callback(os.close, fd)
                left.add(fd)
        poll = select.poll()
        for fd in left:
            poll.register(fd, select.POLLIN)
        while left and (wait_s := until_s - time.monotonic()) > 0:
            for fd, _ in poll.poll(wait_s * 1000):
                poll.unregister(fd)
                left.discard(fd)
