"""What a control group uses: memory, processor time, processes, disks; of version 1 and 2 in one shape.

Some twenty small files are read, in well under a millisecond; what is missing reads as zero or nothing.
Source: the kernel's Documentation/admin-guide/cgroup-v1 (memory, cpuacct, blkio-controller, pids) and cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coracle.linux.cgroups import Cgroup, keyed, number, text

_UNLIMITED_BYTES = 1 << 62  # version 1 says "no limit" as the largest page-aligned long
_IO_OPERATIONS = {
    "rbytes": "read", "wbytes": "write", "dbytes": "discard", "rios": "read", "wios": "write", "dios": "discard",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Io:
    """What a disk was asked: `operation` in lower case ("read", "write", "sync", "async", "discard", "total")."""

    major: int
    minor: int
    operation: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Now, or (processor time, disks, failures) since the group was made.

    memory_bytes         without file cache that can go
    memory_all_bytes     with it
    memory_limit_bytes, pids_limit   None: not limited
    memory_failures      how often it was at its limit
    memory_stats         the kernel's own table; its names differ between versions
    cpu_each_ns          by processor; empty in version 2, which does not tell
    cpu_periods, cpu_throttled_periods, cpu_throttled_ns   of a quota
    """

    memory_bytes: int = 0
    memory_all_bytes: int = 0
    memory_peak_bytes: int = 0
    memory_limit_bytes: int | None = None
    memory_failures: int = 0
    memory_stats: Mapping[str, int] = field(default_factory=dict)
    cpu_ns: int = 0
    cpu_user_ns: int = 0
    cpu_kernel_ns: int = 0
    cpu_each_ns: tuple[int, ...] = ()
    cpu_periods: int = 0
    cpu_throttled_periods: int = 0
    cpu_throttled_ns: int = 0
    pids: int = 0
    pids_limit: int | None = None
    io_bytes: tuple[Io, ...] = ()
    io_operations: tuple[Io, ...] = ()


def read_usage(group: Cgroup) -> Usage:
    """Zeros where it is gone."""
    return _of_version2(group.directory("")) if group.version2 else _of_version1(group)


def _of_version1(group: Cgroup) -> Usage:
    memory, accounts, pids = group.directory("memory"), group.directory("cpuacct"), group.directory("pids")
    blkio = group.directory("blkio")
    stats, turns = keyed(memory / "memory.stat"), keyed(group.directory("cpu") / "cpu.stat")
    used_bytes, limit_bytes = number(memory / "memory.usage_in_bytes"), number(memory / "memory.limit_in_bytes")
    return Usage(
        memory_bytes=max(0, used_bytes - stats.get("total_inactive_file", 0)),
        memory_all_bytes=used_bytes,
        memory_peak_bytes=number(memory / "memory.max_usage_in_bytes"),
        memory_limit_bytes=limit_bytes if 0 < limit_bytes < _UNLIMITED_BYTES else None,
        memory_failures=number(memory / "memory.failcnt"),
        memory_stats=stats,
        cpu_ns=number(accounts / "cpuacct.usage"),
        cpu_user_ns=number(accounts / "cpuacct.usage_user"),
        cpu_kernel_ns=number(accounts / "cpuacct.usage_sys"),
        cpu_each_ns=tuple(int(word) for word in text(accounts / "cpuacct.usage_percpu").split()),
        cpu_periods=turns.get("nr_periods", 0),
        cpu_throttled_periods=turns.get("nr_throttled", 0),
        cpu_throttled_ns=turns.get("throttled_time", 0),
        pids=number(pids / "pids.current"),
        pids_limit=_limit(pids / "pids.max"),
        io_bytes=tuple(_io1(blkio / "blkio.throttle.io_service_bytes_recursive")),
        io_operations=tuple(_io1(blkio / "blkio.throttle.io_serviced_recursive")),
    )


def _of_version2(top: Path) -> Usage:
    stats, time, used_bytes = keyed(top / "memory.stat"), keyed(top / "cpu.stat"), number(top / "memory.current")
    io = list(_io2(top / "io.stat"))
    return Usage(
        memory_bytes=max(0, used_bytes - stats.get("inactive_file", 0)),
        memory_all_bytes=used_bytes,
        memory_peak_bytes=number(top / "memory.peak"),
        memory_limit_bytes=_limit(top / "memory.max"),
        memory_failures=keyed(top / "memory.events").get("max", 0),
        memory_stats=stats,
        cpu_ns=time.get("usage_usec", 0) * 1000,
        cpu_user_ns=time.get("user_usec", 0) * 1000,
        cpu_kernel_ns=time.get("system_usec", 0) * 1000,
        cpu_periods=time.get("nr_periods", 0),
        cpu_throttled_periods=time.get("nr_throttled", 0),
        cpu_throttled_ns=time.get("throttled_usec", 0) * 1000,
        pids=number(top / "pids.current"),
        pids_limit=_limit(top / "pids.max"),
        io_bytes=tuple(one for name, one in io if name.endswith("bytes")),
        io_operations=tuple(one for name, one in io if name.endswith("ios")),
    )


def _limit(path: Path) -> int | None:
    said = text(path)
    return int(said) if said.isdigit() else None


def _io1(path: Path) -> Iterator[Io]:
    """Lines of "8:0 Read 4096"; the sum over all disks, "Total 4096", is left out."""
    for line in text(path).splitlines():
        device, *rest = line.split()
        major, colon, minor = device.partition(":")
        if colon and len(rest) == 2:
            yield Io(int(major), int(minor), rest[0].lower(), int(rest[1]))


def _io2(path: Path) -> Iterator[tuple[str, Io]]:
    """Lines of "8:0 rbytes=4096 wbytes=0 rios=1 wios=0"."""
    for line in text(path).splitlines():
        device, *rest = line.split()
        major, _, minor = device.partition(":")
        for word in rest:
            name, _, value = word.partition("=")
            if name in _IO_OPERATIONS and value.isdigit():
                yield name, Io(int(major), int(minor), _IO_OPERATIONS[name], int(value))
