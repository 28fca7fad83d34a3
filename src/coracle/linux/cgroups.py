"""Control groups of one path in whichever hierarchies this machine has: version 1, version 2, or both.

    unified   one version 2 hierarchy at /sys/fs/cgroup
    hybrid    version 1 hierarchies beside a version 2 one at /sys/fs/cgroup/unified that holds some controller
    legacy    version 1 hierarchies only (or a version 2 one beside them without controllers)

A `path` is what the runtime is told as cgroupsPath: absolute, the same in every hierarchy ("/coracle/web").
Nothing here waits; what is missing reads as nothing.

Source: the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst; cgroups(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from coracle.linux.libc import libc

ROOT = Path("/sys/fs/cgroup")
UNIFIED = "unified"

_CGROUP2_MAGIC = 0x63677270
_KILL_ROUNDS = 100

Layout = Literal["unified", "hybrid", "legacy"]


def layout(root: Path = ROOT) -> Layout:
    """How this machine's hierarchies are arranged, as seen from our mount namespace."""
    if is_version2(root):
        return "unified"
    return "hybrid" if is_version2(root / UNIFIED) and text(root / UNIFIED / "cgroup.controllers") else "legacy"


def is_version2(path: Path) -> bool:
    """Whether a cgroup2 file system is mounted at `path`."""
    return filesystem_magic(path) == _CGROUP2_MAGIC


def filesystem_magic(path: Path) -> int:
    """The type of the file system that holds `path`, as statfs(2) says; 0 where there is none."""
    buffer = ctypes.create_string_buffer(256)
    if libc.statfs(os.fsencode(path), buffer) != 0:
        return 0
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


class Cgroup:
    """The cgroup of one path, in all hierarchies."""

    def __init__(self, path: str, root: Path = ROOT) -> None:
        self.path = path
        self.version2 = is_version2(root)
        self._root = root

    def directory(self, controller: str) -> Path:
        """Its directory in the hierarchy of `controller` (memory, cpu, cpuacct, pids, freezer)."""
        return (self._root if self.version2 else self._root / controller) / self.path.lstrip("/")

    def oom_kills(self) -> int:
        """How many processes in it were killed for want of memory."""
        name = "memory.events" if self.version2 else "memory.oom_control"
        return keyed(self.directory("memory") / name).get("oom_kill", 0)

    def pids(self) -> list[int]:
        """Every process in it and in the groups below."""
        return list(self._pids())

    def is_frozen(self) -> bool:
        """Whether somebody has paused it."""
        if self.version2:
            return text(self.directory("") / "cgroup.freeze") == "1"
        return text(self.directory("freezer") / "freezer.state") in ("FROZEN", "FREEZING")

    def thaw(self) -> None:
        """Let a frozen group go on, so that its processes can die."""
        name, value = ("cgroup.freeze", "0") if self.version2 else ("freezer.state", "THAWED")
        with contextlib.suppress(OSError):
            (self.directory("freezer") / name).write_text(value)

    def allow_any_pids(self) -> None:
        """Take a limit of processes away.  Raises OSError."""
        (self.directory("pids") / "pids.max").write_text("max")

    def signal_all(self, number: int) -> None:
        """Send a signal to every process in it.  SIGKILL reaches also those that are forked meanwhile."""
        if number != signal.SIGKILL:
            for pid in self._pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            return
        if self.version2:
            with contextlib.suppress(OSError):
                (self.directory("") / "cgroup.kill").write_text("1")
                return
        self._kill_frozen()

    def remove(self) -> bool:
        """Remove the empty group and those below, in every hierarchy.  False where a process still lives in one."""
        stubborn = [top for top in self.directories() if not _remove_tree(top)]
        return not stubborn

    def _kill_frozen(self) -> None:
        """Freeze, so that nobody forks, signal all, thaw: a fork bomb dies too."""
        freezer = self.directory("freezer") / ("cgroup.freeze" if self.version2 else "freezer.state")
        with contextlib.suppress(OSError):
            freezer.write_text("1" if self.version2 else "FROZEN")
        try:
            for _ in range(_KILL_ROUNDS):  # more than one only while the freezer is still catching forks
                before = self.pids()
                for pid in before:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                if set(self._pids()) <= set(before):
                    break
        finally:
            self.thaw()

    def _pids(self) -> Iterator[int]:
        for directory, _, _ in os.walk(self.directory("pids")):
            for line in text(Path(directory) / "cgroup.procs").split():
                yield int(line)

    def directories(self) -> list[Path]:
        """Its directory in each hierarchy, whether it is there or not."""
        if self.version2:
            return [self.directory("")]
        with contextlib.suppress(OSError):
            return [self.directory(name) for name in sorted(os.listdir(self._root))]
        return []


def children(path: str, root: Path = ROOT) -> list[str]:
    """Paths of the groups directly below `path`, in any hierarchy: what somebody may have left."""
    found: set[str] = set()
    for top in Cgroup(path, root).directories():
        with contextlib.suppress(OSError):
            found.update(entry.name for entry in os.scandir(top) if entry.is_dir(follow_symlinks=False))
    return [f"{path.rstrip('/')}/{name}" for name in sorted(found)]


def _remove_tree(top: Path) -> bool:
    gone = True
    for directory, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError:
            gone = False
    return gone


def text(path: Path) -> str:
    """What a file of the kernel says; "" where it is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def number(path: Path) -> int:
    """The same, as a number; 0 where it is none."""
    said = text(path)
    return int(said) if said.isdigit() else 0


def keyed(path: Path) -> dict[str, int]:
    """The same, of lines that are a name and a number."""
    pairs = (line.split() for line in text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
