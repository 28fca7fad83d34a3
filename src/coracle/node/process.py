"""The daemon as a process: find it, start it, end it.  Called by the command line, which has no asyncio."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from coracle.core.errors import Broken, Timeout
from coracle.node.config import Settings

# glibc gives big buffers back to the kernel each time by default: a list of 1 MB costs 0.8 ms instead of 0.3 ms.
# One arena: the daemon's threads hardly allocate, and each arena costs memory that an idle cloud should not have.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "16777216", "MALLOC_ARENA_MAX": "1"}


def find_pid(root: Path) -> int | None:
    """The pid of the daemon that has `root` locked, or None."""
    try:
        fd = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return int(os.pread(fd, 32, 0) or b"0") or None
    finally:
        os.close(fd)


def command_of(settings: Settings) -> list[str]:
    return [sys.executable, "-m", "coracle.node.daemon", "--root", str(settings.root), "--name", settings.name]


def start(settings: Settings, timeout_s: float) -> None:
    """Start the daemon in the background; returns when it says that it is ready.

    Raises: Broken (it ended; with its own words), Timeout (it is still trying; see its log).
    """
    settings.root.mkdir(parents=True, exist_ok=True, mode=0o710)
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as ready, open(settings.log_path, "ab") as log:
        try:
            subprocess.Popen(
                [*command_of(settings), "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writer],
                start_new_session=True,
                cwd="/",
                env={**os.environ, **_ALLOCATOR, "CORACLE_CACHE": str(settings.cache)},
            )
        finally:
            os.close(writer)
        if not select.select([ready], [], [], timeout_s)[0]:
            raise Timeout(f"the daemon is not ready after {timeout_s:g} s; see: coracle logs")
        answer = ready.read(65536)
    if not answer:
        raise Broken(f"the daemon ended at once; the end of {settings.log_path} says:\n{_tail(settings.log_path)}")
    said = json.loads(answer)
    if "error" in said:
        raise Broken(said["error"])


def stop(root: Path, timeout_s: float = 30) -> bool:
    """Ask the daemon to end, and see to it.  Containers are not touched.  False: there was none."""
    pid = find_pid(root)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            if not select.select([pidfd], [], [], timeout_s)[0]:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                select.select([pidfd], [], [], 5)
        finally:
            os.close(pidfd)
    return True


def replace_by_daemon(settings: Settings) -> None:
    """`coracle up --foreground`: become the daemon."""
    os.execve(sys.executable, command_of(settings), {**os.environ, **_ALLOCATOR})  # noqa: S606 - our own interpreter


def memory_pss_bytes(pid: int) -> int:
    """The proportional set size of a process; 0 where it has gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(nothing)"
