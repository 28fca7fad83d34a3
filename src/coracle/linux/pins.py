"""Namespaces other than the network's, pinned as files: users, IPC, and the processes of somebody who waits.

A pin is a bind mount in the mount namespace of the caller, and keeps the namespace when nobody is in it.  One of
processes cannot be kept so: it is alive as long as its first process.

Source: ipc_namespaces(7), pid_namespaces(7), unshare(1).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from coracle.linux import idmaps, mounts, newborn
from coracle.linux.libc import checked, libc

_OWN_IPC = "/proc/thread-self/ns/ipc"


def make_users(path: str, first: int) -> None:
    """Make a user namespace whose ids are the host's from `first` on, and pin it at `path`, unless one is pinned there.

    Raises: OSError.
    """
    if is_pinned(path):
        return
    Path(path).touch(mode=0o400)
    with newborn.waiting("--user") as pid:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(f"0 {first} {idmaps.COUNT}\n")
        mounts.bind(Path(f"/proc/{pid}/ns/user"), Path(path))


def make_ipc(path: str, users_path: str = "") -> None:
    """Make an IPC namespace and pin it at `path`, unless one is pinned there.  Raises OSError.

    `users_path`: the user namespace that it belongs to; "": the host's.
    """
    if is_pinned(path):
        return
    Path(path).touch(mode=0o400)
    if users_path:
        with newborn.waiting("--ipc", users_path=users_path) as pid:
            mounts.bind(Path(f"/proc/{pid}/ns/ipc"), Path(path))
        return
    home = os.open(_OWN_IPC, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mounts.unshare(mounts.CLONE_NEWIPC)
        try:
            mounts.bind(Path(_OWN_IPC), Path(path))
        finally:
            checked(libc.setns(home, mounts.CLONE_NEWIPC), "setns")
    finally:
        os.close(home)


def pin_processes_of(holder: subprocess.Popen[bytes], path: str) -> None:
    """Pin the namespace that the children of `holder` are in.  Raises OSError."""
    Path(path).touch(mode=0o400)
    mounts.bind(Path(f"/proc/{holder.pid}/ns/pid_for_children"), Path(path))


def hold_processes(first: Sequence[str], label: str, users_path: str = "") -> subprocess.Popen[bytes]:
    """Begin `first` as the first process of a namespace of its own; on return it runs.  It ends with what is returned,
    which has `label` on its command line, for whoever looks at the host's processes.

    `users_path` as in `make_ipc`.  Raises: OSError.
    """
    script = 'echo; exec "$@" >/dev/null'
    command = [*newborn.command(users_path, "--fork", "--kill-child", "--pid"), "sh", "-c", script, label, *first]
    holder = subprocess.Popen(
        command,
        cwd="/",
        env={"PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if holder.stdout is not None:
        with holder.stdout as said:
            if said.readline():
                return holder
    raise OSError(f"a namespace of processes could not be made: unshare exited {holder.wait()}")


def is_pinned(path: str) -> bool:
    """Whether `path` is a pinned namespace."""
    try:
        return os.stat(path).st_dev == os.stat(_OWN_IPC).st_dev
    except FileNotFoundError:
        return False
