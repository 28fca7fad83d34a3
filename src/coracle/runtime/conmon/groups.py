"""Control groups of several containers, which are limited together.

    <cloud>/<group>/<container>   in every hierarchy; the containers' own limits are in their own groups

The runtime makes them, with the first container in them; what they are limited to is written here, and they go with
their last container.

Source: the kernel's Documentation/admin-guide/cgroup-v1 (memory, cpu) and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os

from coracle.linux.cgroups import Cgroup
from coracle.runtime.api import Resources

_NO_QUOTA = -1


def limit(group: Cgroup, asked: Resources) -> None:
    """Write the group's limits of memory and processor time.

    Raises: OSError (less than is used; less than one of its containers may have).
    """
    for controller, name, value in _values(group, asked):
        path = group.directory(controller) / name
        if path.exists():  # else this kernel does not have it
            path.write_text(value)


def drop(group: Cgroup) -> None:
    """Remove the group where nothing is in it."""
    for top in group.directories():
        with contextlib.suppress(OSError):
            os.rmdir(top)


def _values(group: Cgroup, asked: Resources) -> list[tuple[str, str, str]]:
    """(controller, file, what to write)."""
    shares, quota, memory = asked.cpu_shares, asked.cpu_quota_us, asked.memory_bytes
    if group.version2:
        weight = 1 + (shares - 2) * 9999 // 262142 if shares is not None else 100
        most = "max" if quota is None else str(quota)
        return [
            ("cpu", "cpu.weight", str(weight)),
            ("cpu", "cpu.max", f"{most} {asked.cpu_period_us}"),
            ("memory", "memory.max", "max" if memory is None else str(memory)),
        ]
    return [
        ("cpu", "cpu.shares", str(shares if shares is not None else 1024)),
        ("cpu", "cpu.cfs_period_us", str(asked.cpu_period_us)),
        ("cpu", "cpu.cfs_quota_us", str(quota if quota is not None else _NO_QUOTA)),
        ("memory", "memory.limit_in_bytes", str(memory if memory is not None else -1)),
    ]
