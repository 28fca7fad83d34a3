"""Limits of containers: the part of `HostConfig` that `docker update` may change as well.

Source: Docker Engine API 1.50, "Resources"; moby daemon/daemon_unix.go (verifyPlatformContainerResources).
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Mapping
from typing import Any

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.runtime.api import Resources

LEAST_MEMORY_BYTES = 6 * 1024 * 1024
MOST_BYTES = 2**63 - 1
NUMBERS = (
    "Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "CpuPeriod", "CpuQuota",
    "CpuRealtimePeriod", "CpuRealtimeRuntime", "BlkioWeight", "KernelMemory", "KernelMemoryTCP", "CpuCount",
    "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth",
)  # fmt: skip
TEXTS = ("CpusetCpus", "CpusetMems", "CgroupParent")
BY_DEVICE = (
    "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps",
)  # fmt: skip
_CPUS = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*")


def read_limits(host: Fields) -> dict[str, Any]:
    """What the request says, under Docker's names; zero and null are left out.  Raises Malformed."""
    found: dict[str, Any] = {name: host.number(name) for name in NUMBERS}
    found |= {name: host.text(name) for name in TEXTS}
    found |= {name: host.raw(name) for name in BY_DEVICE if host.objects(name)}
    found["PidsLimit"] = max(host.number("PidsLimit"), 0)
    found["OomKillDisable"] = host.flag("OomKillDisable")
    if host.optional_number("MemorySwappiness") not in (None, -1):
        found["MemorySwappiness"] = host.number("MemorySwappiness")
    limits = {name: value for name, value in found.items() if value or name == "MemorySwappiness"}
    return limits


def check_limits(limits: Mapping[str, Any], *, update: bool = False) -> None:
    """Refuse what makes no sense, in dockerd's words.  Raises Malformed."""
    _check_memory(limits, update=update)
    _check_cpu(limits)
    if "BlkioWeight" in limits and not 10 <= limits["BlkioWeight"] <= 1000:
        raise Malformed("Range of blkio weight is from 10 to 1000")
    for name in ("CpusetCpus", "CpusetMems"):
        _check_set(name, limits.get(name, ""))


_DISCARDED = {
    "MemorySwap": ("memory_swap_bytes", "swap limit capabilities", "Memory limited without swap."),
    "MemoryReservation": ("memory_reservation_bytes", "memory soft limit capabilities", "Limitation discarded."),
    "MemorySwappiness": ("memory_swappiness", "memory swappiness capabilities", "Memory swappiness discarded."),
    "OomKillDisable": ("oom_kill_disable", "OomKillDisable", "OomKillDisable discarded."),
    "CpuShares": ("cpu_shares", "CPU shares", "Shares discarded."),
    "CpuRealtimePeriod": ("cpu_realtime_period_us", "CPU real-time scheduler", "Period discarded."),
    "CpuRealtimeRuntime": ("cpu_realtime_runtime_us", "CPU real-time scheduler", "Runtime discarded."),
    "BlkioWeight": ("blkio_weight", "Block I/O weight", "Weight discarded."),
    "BlkioWeightDevice": ("blkio_weight_device", "Block I/O weight_device", "Weight-device discarded."),
    "BlkioDeviceReadBps": ("blkio_read_bps", "BPS Block I/O read limit", "Block I/O BPS read limit discarded."),
    "BlkioDeviceWriteBps": ("blkio_write_bps", "BPS Block I/O write limit", "Block I/O BPS write limit discarded."),
    "BlkioDeviceReadIOps": ("blkio_read_iops", "IOPS Block read limit", "Block I/O IOPS read limit discarded."),
    "BlkioDeviceWriteIOps": ("blkio_write_iops", "IOPS Block write limit", "Block I/O IOPS write limit discarded."),
}


def discarded(limits: Mapping[str, Any], lacking: Container[str]) -> list[str]:
    """Warnings, in dockerd's words, for what the request asks and this machine cannot keep (runtime.api.Adjusts)."""
    return [
        f"Your kernel does not support {what} or the cgroup is not mounted. {outcome}"
        for name, (field, what, outcome) in _DISCARDED.items()
        if limits.get(name) and field in lacking
    ]


def resources(limits: Mapping[str, Any]) -> Resources:
    """What the runtime is to hold.  Raises Malformed (a device's limit)."""
    get = limits.get
    quota, period = get("CpuQuota"), get("CpuPeriod") or 100_000
    if get("NanoCpus"):
        quota, period = int(limits["NanoCpus"]) * 100_000 // 1_000_000_000, 100_000
    return Resources(
        memory_bytes=get("Memory") or None,
        memory_swap_bytes=get("MemorySwap") or (usual_swap(limits["Memory"]) if get("Memory") else None),
        memory_reservation_bytes=get("MemoryReservation") or None,
        memory_swappiness=get("MemorySwappiness"),
        oom_kill_disable=bool(get("OomKillDisable")),
        cpu_quota_us=quota or None,
        cpu_period_us=period,
        cpu_shares=get("CpuShares") or None,
        cpu_realtime_runtime_us=get("CpuRealtimeRuntime") or None,
        cpu_realtime_period_us=get("CpuRealtimePeriod") or None,
        cpuset_cpus=get("CpusetCpus") or "",
        cpuset_mems=get("CpusetMems") or "",
        pids=get("PidsLimit") or None,
        blkio_weight=get("BlkioWeight") or None,
        blkio_weight_device=_by_device(limits, "BlkioWeightDevice", "Weight"),
        blkio_read_bps=_by_device(limits, "BlkioDeviceReadBps", "Rate"),
        blkio_write_bps=_by_device(limits, "BlkioDeviceWriteBps", "Rate"),
        blkio_read_iops=_by_device(limits, "BlkioDeviceReadIOps", "Rate"),
        blkio_write_iops=_by_device(limits, "BlkioDeviceWriteIOps", "Rate"),
    )


def usual_swap(memory: int) -> int:
    """MemorySwap where it is not said: memory, and as much swap; both in bytes."""
    return min(2 * memory, MOST_BYTES)


def _by_device(limits: Mapping[str, Any], name: str, what: str) -> tuple[tuple[str, int], ...]:
    found = []
    for one in Fields({name: limits.get(name)}).objects(name):
        path, value = one.text("Path"), one.number(what)
        if not path.startswith("/dev/") or value <= 0:
            raise Malformed(f"invalid {name}: {path[:100]!r}: a device's path and a positive {what} are needed")
        found.append((path, value))
    return tuple(found)


def _check_memory(limits: Mapping[str, Any], *, update: bool) -> None:
    memory, swap = limits.get("Memory", 0), limits.get("MemorySwap", 0)
    reservation, swappiness = limits.get("MemoryReservation", 0), limits.get("MemorySwappiness", 0)
    if memory != 0 and memory < LEAST_MEMORY_BYTES:
        raise Malformed("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise Malformed("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0 and not update:
        raise Malformed("You should always set the Memory limit when using Memoryswap limit, see usage")
    if swap < -1:
        raise Malformed(f"invalid value for MemorySwap: {swap}")
    if not 0 <= swappiness <= 100:
        raise Malformed(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if reservation != 0 and reservation < LEAST_MEMORY_BYTES:
        raise Malformed("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise Malformed("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(limits: Mapping[str, Any]) -> None:
    nano, period, quota = (limits.get(name, 0) for name in ("NanoCpus", "CpuPeriod", "CpuQuota"))
    if nano and period:
        raise Malformed("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano and quota:
        raise Malformed("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    cpus = os.cpu_count() or 1
    if nano < 0 or nano > cpus * 1_000_000_000 or 0 < nano < 10_000_000:
        raise Malformed(f"Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    if limits.get("CpuShares", 0) < 0:
        raise Malformed(f"invalid CPU shares ({limits['CpuShares']}): value must be a positive integer")
    if period and not 1000 <= period <= 1_000_000:
        raise Malformed("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise Malformed("CPU cfs quota can not be less than 1ms (i.e. 1000)")


def _check_set(name: str, text: str) -> None:
    if not text:
        return
    word = "cpuset cpus" if name == "CpusetCpus" else "cpuset mems"
    if not _CPUS.fullmatch(text):
        raise Malformed(f"Invalid value {text[:40]} for {word}")
    if name == "CpusetCpus":
        most = (os.cpu_count() or 1) - 1
        if any(int(number) > most for number in re.findall(r"\d+", text)):
            raise Malformed(f"Requested CPUs are not available - requested {text[:40]}, available: 0-{most}")
