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
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path("/sys/fs/cgroup")
UNIFIED = "unified"

_CGROUP2_MAGIC = 0x63677270
_UNLIMITED_BYTES = 1 << 62  # version 1 says "no limit" as the largest page-aligned long
_KILL_ROUNDS = 100

Layout = Literal["unified", "hybrid", "legacy"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a cgroup uses now.  `memory_bytes` without cache that can go; `memory_limit_bytes` None: not limited."""

    memory_bytes: int = 0
    memory_limit_bytes: int | None = None
    cpu_ns: int = 0
    pids: int = 0


def layout(root: Path = ROOT) -> Layout:
    """How this machine's hierarchies are arranged, as seen from our mount namespace."""
    if is_version2(root):
        return "unified"
    return "hybrid" if is_version2(root / UNIFIED) and _text(root / UNIFIED / "cgroup.controllers") else "legacy"


def is_version2(path: Path) -> bool:
    """Whether a cgroup2 file system is mounted at `path`."""
    return filesystem_magic(path) == _CGROUP2_MAGIC


def filesystem_magic(path: Path) -> int:
    """The type of the file system that holds `path`, as statfs(2) says; 0 where there is none."""
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None).statfs(os.fsencode(path), buffer) != 0:
        return 0
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


class Cgroup:
    """The cgroup of one path, in all hierarchies."""

    def __init__(self, path: str, root: Path = ROOT) -> None:
        self.path = path
        self._version2 = is_version2(root)
        self._root = root

    def directory(self, controller: str) -> Path:
        """Its directory in the hierarchy of `controller` (memory, cpu, cpuacct, pids, freezer)."""
        return (self._root if self._version2 else self._root / controller) / self.path.lstrip("/")

    def usage(self) -> Usage:
        """Memory, processor time and number of processes; zeros where it is gone."""
        return self._usage2() if self._version2 else self._usage1()

    def oom_kills(self) -> int:
        """How many processes in it were killed for want of memory."""
        name = "memory.events" if self._version2 else "memory.oom_control"
        return _keyed(self.directory("memory") / name).get("oom_kill", 0)

    def pids(self) -> list[int]:
        """Every process in it and in the groups below."""
        return list(self._pids())

    def thaw(self) -> None:
        """Let a frozen group go on, so that its processes can die."""
        name, value = ("cgroup.freeze", "0") if self._version2 else ("freezer.state", "THAWED")
        with contextlib.suppress(OSError):
            (self.directory("freezer") / name).write_text(value)

    def signal_all(self, number: int) -> None:
        """Send a signal to every process in it.  SIGKILL reaches also those that are forked meanwhile."""
        if number != signal.SIGKILL:
            for pid in self._pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            return
        if self._version2:
            with contextlib.suppress(OSError):
                (self.directory("") / "cgroup.kill").write_text("1")
                return
        self._kill_frozen()

    def remove(self) -> bool:
        """Remove the empty group and those below, in every hierarchy.  False where a process still lives in one."""
        stubborn = [top for top in self._tops() if not _remove_tree(top)]
        return not stubborn

    def _kill_frozen(self) -> None:
        """Freeze, so that nobody forks, signal all, thaw: a fork bomb dies too."""
        freezer = self.directory("freezer") / ("cgroup.freeze" if self._version2 else "freezer.state")
        with contextlib.suppress(OSError):
            freezer.write_text("1" if self._version2 else "FROZEN")
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
            for line in _text(Path(directory) / "cgroup.procs").split():
                yield int(line)

    def _tops(self) -> list[Path]:
        if self._version2:
            return [self.directory("")]
        with contextlib.suppress(OSError):
            return [self.directory(name) for name in sorted(os.listdir(self._root))]
        return []

    def _usage2(self) -> Usage:
        top = self.directory("")
        reclaimable = _keyed(top / "memory.stat").get("inactive_file", 0)
        limit = _text(top / "memory.max")
        return Usage(
            memory_bytes=max(0, _number(top / "memory.current") - reclaimable),
            memory_limit_bytes=int(limit) if limit.isdigit() else None,
            cpu_ns=_keyed(top / "cpu.stat").get("usage_usec", 0) * 1000,
            pids=_number(top / "pids.current"),
        )

    def _usage1(self) -> Usage:
        memory = self.directory("memory")
        reclaimable = _keyed(memory / "memory.stat").get("total_inactive_file", 0)
        limit_bytes = _number(memory / "memory.limit_in_bytes")
        return Usage(
            memory_bytes=max(0, _number(memory / "memory.usage_in_bytes") - reclaimable),
            memory_limit_bytes=limit_bytes if 0 < limit_bytes < _UNLIMITED_BYTES else None,
            cpu_ns=_number(self.directory("cpuacct") / "cpuacct.usage"),
            pids=_number(self.directory("pids") / "pids.current"),
        )


def children(path: str, root: Path = ROOT) -> list[str]:
    """Paths of the groups directly below `path`, in any hierarchy: what somebody may have left."""
    found: set[str] = set()
    for top in Cgroup(path, root)._tops():
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


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0


def _keyed(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
