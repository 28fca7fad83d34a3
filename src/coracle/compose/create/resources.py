"""A service's limits and devices, in HostConfig's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.compose.create.bodies import without_empty

_NUMBERS = {
    "mem_limit": "Memory",
    "memswap_limit": "MemorySwap",
    "mem_reservation": "MemoryReservation",
    "mem_swappiness": "MemorySwappiness",
    "cpu_count": "CpuCount",
    "cpu_period": "CpuPeriod",
    "cpu_quota": "CpuQuota",
    "cpu_rt_period": "CpuRealtimePeriod",
    "cpu_rt_runtime": "CpuRealtimeRuntime",
    "cpu_shares": "CpuShares",
    "pids_limit": "PidsLimit",
}
_RATES = {
    "device_read_bps": "BlkioDeviceReadBps",
    "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_bps": "BlkioDeviceWriteBps",
    "device_write_iops": "BlkioDeviceWriteIOps",
}
_NANO = 10**9


def resources(service: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {theirs: int(service.get(ours) or 0) for ours, theirs in _NUMBERS.items()}
    found |= {
        "Devices": [_device(device) for device in service.get("devices") or ()],
        "CgroupParent": service.get("cgroup_parent"),
        "CpusetCpus": service.get("cpuset"),
        "DeviceCgroupRules": service.get("device_cgroup_rules"),
        "OomKillDisable": service.get("oom_kill_disable"),
        "NanoCpus": round(float(service.get("cpus") or 0) * _NANO),
        "CpuPercent": int(float(service.get("cpu_percent") or 0) * 100),
        "Ulimits": [_ulimit(name, given) for name, given in sorted((service.get("ulimits") or {}).items())],
    }
    return without_empty({**found, **_blkio(service.get("blkio_config") or {}), **_deployed(service)})


def _ulimit(name: str, given: Any) -> dict[str, Any]:
    soft, hard = (given.get("soft", 0), given.get("hard", 0)) if isinstance(given, dict) else (given, given)
    return {"Name": name, "Soft": soft, "Hard": hard}


def _blkio(blkio: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        theirs: [{"Path": one["path"], "Rate": int(one["rate"])} for one in blkio.get(ours) or ()]
        for ours, theirs in _RATES.items()
    }
    weights = [{"Path": one["path"], "Weight": one["weight"]} for one in blkio.get("weight_device") or ()]
    return {**found, "BlkioWeight": blkio.get("weight"), "BlkioWeightDevice": weights}


def _deployed(service: Mapping[str, Any]) -> dict[str, Any]:
    """What `deploy.resources` says; it comes before the service's own fields."""
    said = (service.get("deploy") or {}).get("resources") or {}
    limits, reserved = said.get("limits") or {}, said.get("reservations") or {}
    return without_empty(
        {
            "Memory": int(limits.get("memory") or 0),
            "NanoCpus": round(float(limits.get("cpus") or 0) * _NANO),
            "PidsLimit": max(int(limits.get("pids") or 0), 0),
            "MemoryReservation": int(reserved.get("memory") or 0),
        }
    )


def _device(device: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "PathOnHost": device["source"],
        "PathInContainer": device.get("target") or device["source"],
        "CgroupPermissions": device.get("permissions") or "rwm",
    }
