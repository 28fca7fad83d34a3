"""Processes held by descriptor, so that a reused pid is never mistaken for the one that was meant.

No waiting here: a pidfd is readable once the process has ended; register it with a loop.  A descriptor does not keep a
process from being reaped, but keeps its identity: signals to an ended one fail instead of hitting a stranger.

Source: pidfd_open(2), pidfd_send_signal(2), waitid(2) with P_PIDFD; proc_pid_stat(5).
"""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path


def find(pid: int) -> int | None:
    """A descriptor of the process `pid`, or None where there is none."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def ended(pidfd: int) -> bool:
    """Whether the process has ended (it may still wait to be reaped)."""
    return bool(select.select([pidfd], [], [], 0)[0])


def send(pidfd: int, number: int) -> bool:
    """Send a signal; False where the process has ended.  Raises ValueError, PermissionError."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


def reap(pidfd: int) -> int | None:
    """The exit code of our own ended child, 128 + n for signal n; None for other people's children."""
    try:
        info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if info is None:
        return None
    return info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status


def parent(pid: int) -> int:
    """The pid of its parent; 0 where there is no such process."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def arguments(pid: int) -> tuple[str, ...]:
    """Its argv; empty for a process that has ended, or none."""
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in data.split(b"\0")[:-1])


def _stat(pid: int) -> list[str]:
    # The command's name may hold anything, spaces and brackets too: the fields begin after the last bracket.
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
