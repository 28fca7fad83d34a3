"""Limits in the words of config.json.  Pure.

Source: OCI Runtime Specification 1.0.2, config-linux.md, "Control groups".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from coracle.runtime.api import Resources
from coracle.runtime.machine import Host

Json = dict[str, Any]
_NO_LIMITS: Mapping[str, Any] = asdict(Resources())


def resources(asked: Resources, host: Host) -> Json:
    """The `resources` of config.json; by itself what `update` is given.

    Limits that are None are left out, and those that this machine cannot keep.  Raises Invalid (no such disk).
    """
    asked = replace(asked, **{name: _NO_LIMITS[name] for name in host.lacking})
    has_period = asked.cpu_quota_us is not None or asked.cpu_period_us != _NO_LIMITS["cpu_period_us"]
    parts = {
        "memory": _given(
            limit=asked.memory_bytes,
            swap=asked.memory_swap_bytes,
            reservation=asked.memory_reservation_bytes,
            swappiness=asked.memory_swappiness,
            disableOOMKiller=asked.oom_kill_disable or None,
        ),
        "cpu": _given(
            shares=asked.cpu_shares,
            quota=asked.cpu_quota_us,
            period=asked.cpu_period_us if has_period else None,
            realtimeRuntime=asked.cpu_realtime_runtime_us,
            realtimePeriod=asked.cpu_realtime_period_us,
            cpus=asked.cpuset_cpus or None,
            mems=asked.cpuset_mems or None,
        ),
        "pids": _given(limit=asked.pids if asked.pids is not None and asked.pids >= 0 else None),
        "blockIO": _given(
            weight=asked.blkio_weight,
            weightDevice=_disks(asked.blkio_weight_device, "weight", host),
            throttleReadBpsDevice=_disks(asked.blkio_read_bps, "rate", host),
            throttleWriteBpsDevice=_disks(asked.blkio_write_bps, "rate", host),
            throttleReadIOPSDevice=_disks(asked.blkio_read_iops, "rate", host),
            throttleWriteIOPSDevice=_disks(asked.blkio_write_iops, "rate", host),
        ),
    }
    return {name: part for name, part in parts.items() if part}


def _disks(asked: Sequence[tuple[str, int]], what: str, host: Host) -> list[Json] | None:
    nodes = ((host.node(path), value) for path, value in asked)
    return [{"major": node.major, "minor": node.minor, what: value} for node, value in nodes] or None


def _given(**values: Any) -> Json:
    return {name: value for name, value in values.items() if value is not None}
