"""What a container used at a moment, and two such moments as Docker's clients are shown them.

Source: Docker Engine API, "Get container stats based on resource usage"; docker CLI, stats_helpers.go (what it reckons
with).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from coracle.core.clock import rfc3339_micro
from coracle.core.object import Object
from coracle.linux.counters import Link
from coracle.linux.usage import Io, Usage

_NEVER = "0001-01-01T00:00:00Z"
_UNLIMITED = 2**64 - 1
_OLD_BLOCKS = (
    "io_queue_recursive", "io_service_time_recursive", "io_wait_time_recursive", "io_merged_recursive",
    "io_time_recursive", "sectors_recursive",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """What a container that has no limits may use: processors, bytes of memory."""

    processors: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """At `at_s`, seconds since 1970; `machine_ns` is the time of all processors of the machine."""

    at_s: float
    usage: Usage
    machine_ns: int
    links: Mapping[str, Link] = field(default_factory=dict)


def shown(record: Object, machine: Machine, now: Sample | None, before: Sample | None) -> dict[str, Any]:
    """One object of the stats stream; `now` is None for a container that does not run."""
    said: dict[str, Any] = {
        "name": f"/{record.spec['name']}",
        "id": record.meta.name,
        "read": rfc3339_micro(now.at_s) if now else _NEVER,
        "preread": rfc3339_micro(before.at_s) if before else _NEVER,
        "num_procs": 0,
        "storage_stats": {},
        "pids_stats": {},
        "blkio_stats": _blocks((), ()),
        "cpu_stats": _cpu(now, machine),
        "precpu_stats": _cpu(before, machine),
        "memory_stats": {},
    }
    if now is not None:
        usage = now.usage
        said["pids_stats"] = {
            "current": usage.pids,
            "limit": 2**64 - 1 if usage.pids_limit is None else usage.pids_limit,
        }
        said["blkio_stats"] = _blocks(usage.io_bytes, usage.io_operations)
        said["memory_stats"] = _memory(usage, machine)
        if now.links:
            said["networks"] = {name: asdict(link) for name, link in now.links.items()}
    return said


def _cpu(sample: Sample | None, machine: Machine) -> dict[str, Any]:
    usage = sample.usage if sample else Usage()
    used: dict[str, Any] = {
        "total_usage": usage.cpu_ns,
        "usage_in_kernelmode": usage.cpu_kernel_ns,
        "usage_in_usermode": usage.cpu_user_ns,
    }
    if usage.cpu_each_ns:
        used["percpu_usage"] = list(usage.cpu_each_ns)
    throttling = {
        "periods": usage.cpu_periods,
        "throttled_periods": usage.cpu_throttled_periods,
        "throttled_time": usage.cpu_throttled_ns,
    }
    said: dict[str, Any] = {"cpu_usage": used, "throttling_data": throttling}
    if sample is not None:
        said |= {"system_cpu_usage": sample.machine_ns, "online_cpus": machine.processors}
    return said


def _memory(usage: Usage, machine: Machine) -> dict[str, Any]:
    limit_bytes = machine.memory_bytes if usage.memory_limit_bytes is None else usage.memory_limit_bytes
    return {
        "usage": usage.memory_all_bytes,
        "max_usage": usage.memory_peak_bytes,
        "stats": dict(usage.memory_stats),
        "failcnt": usage.memory_failures,
        "limit": min(limit_bytes, machine.memory_bytes),
    }


def _blocks(sizes: Sequence[Io], counts: Sequence[Io]) -> dict[str, Any]:
    """Lists of {"major", "minor", "op", "value"}; null where there are none, as dockerd says it."""
    said: dict[str, Any] = dict.fromkeys(_OLD_BLOCKS)
    for name, found in (("io_service_bytes_recursive", sizes), ("io_serviced_recursive", counts)):
        entries = [{"major": o.major, "minor": o.minor, "op": o.operation, "value": o.value} for o in found]
        said[name] = entries or None
    return said
