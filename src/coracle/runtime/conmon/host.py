"""What this machine can give containers, looked at once; device nodes and profiles are looked at when named."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from coracle.core.errors import Invalid
from coracle.linux import cgroups
from coracle.runtime import limits, profiles, spec
from coracle.runtime.api import Bundle, Process, Resources
from coracle.runtime.machine import Host, HostDevice

# Names by number; Source: linux/capability.h.
_CAPABILITIES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_LOWEST_OOM_SCORE_ADJ = -1000
_MOST_FILES = 10_000  # in a directory of devices: some 50 ms
# Made by the runtime in every container; not to be made again for a privileged one.
_RUNTIMES_OWN = ("console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
                 "tty", "urandom", "zero")  # fmt: skip


class Seen:
    """The machine as we see it."""

    def config(self, bundle: Bundle, cgroup_path: str, shm_path: str = "") -> dict[str, Any]:
        """config.json for `bundle` here.  Raises Invalid."""
        devices = _devices_below("/dev") if bundle.privileged else {}
        for device in bundle.devices:
            devices |= _asked_device(device.source)
        host = self._with_disks(bundle.resources, devices)
        text = spec.config(bundle, host, cgroup_path, shm_path)
        if bundle.seccomp.startswith(("/", "{")):
            text["linux"]["seccomp"] = self._profile(bundle.seccomp, bundle.process.capabilities)
        return text

    def resources(self, asked: Resources) -> dict[str, Any]:
        """What `update` is given here.  Raises Invalid."""
        return limits.resources(asked, self._with_disks(asked, {}))

    @property
    def lacking(self) -> frozenset[str]:
        """See runtime.api.Adjusts."""
        return self._host.lacking

    def process(self, asked: Process, *, privileged: bool = False) -> dict[str, Any]:
        """The process of an `exec` here.  Raises Invalid."""
        problems = spec.process_problems(asked)
        if problems:
            raise Invalid(problems, kind="Container")
        return spec.process(asked, self._host, privileged=privileged)

    def _with_disks(self, asked: Resources, devices: Mapping[str, HostDevice]) -> Host:
        disk_limits = (
            asked.blkio_weight_device, asked.blkio_read_bps, asked.blkio_write_bps, asked.blkio_read_iops,
            asked.blkio_write_iops,
        )  # fmt: skip
        disks = _named_devices(path for limit in disk_limits for path, _ in limit)
        return replace(self._host, devices={**devices, **disks}) if devices or disks else self._host

    def _profile(self, given: str, capabilities: Collection[str]) -> dict[str, Any]:
        """A profile by its path or text.  Raises Invalid."""
        if given.startswith("{"):
            return profiles.read(given, capabilities, self._place)
        try:
            text = Path(given).read_bytes()
        except OSError as error:
            raise Invalid(message=f"seccomp profile {given[:200]} cannot be read: {error.strerror}") from error
        return profiles.read(text, capabilities, self._place)

    @cached_property
    def _place(self) -> profiles.Place:
        return profiles.this_place()

    @cached_property
    def _host(self) -> Host:
        mine = own_capabilities()
        own_adj = int(Path("/proc/self/oom_score_adj").read_text())
        floor = _LOWEST_OOM_SCORE_ADJ if "CAP_SYS_RESOURCE" in mine else own_adj
        unified = cgroups.is_version2(cgroups.ROOT)
        return Host(
            processors=os.cpu_count() or 1,
            capabilities=mine,
            oom_score_adj_floor=floor,
            unified=unified,
            lacking=lacking(cgroups.ROOT, unified=unified),
        )


# Of version 1: field of Resources -> a file that there is where the kernel has it.
_FILES = {
    "memory_swap_bytes": "memory/memory.memsw.limit_in_bytes",
    "memory_reservation_bytes": "memory/memory.soft_limit_in_bytes",
    "memory_swappiness": "memory/memory.swappiness",
    "oom_kill_disable": "memory/memory.oom_control",
    "cpu_shares": "cpu/cpu.shares",
    "cpu_realtime_runtime_us": "cpu/cpu.rt_runtime_us",
    "cpu_realtime_period_us": "cpu/cpu.rt_period_us",
    "blkio_weight": "blkio/blkio.weight",
    "blkio_weight_device": "blkio/blkio.weight_device",
    "blkio_read_bps": "blkio/blkio.throttle.read_bps_device",
    "blkio_write_bps": "blkio/blkio.throttle.write_bps_device",
    "blkio_read_iops": "blkio/blkio.throttle.read_iops_device",
    "blkio_write_iops": "blkio/blkio.throttle.write_iops_device",
}
_NOT_IN_VERSION_2 = ("memory_swappiness", "oom_kill_disable", "cpu_realtime_runtime_us", "cpu_realtime_period_us")


def lacking(root: Path, *, unified: bool) -> frozenset[str]:
    """The limits that this machine's groups cannot keep: the kernel was built without them, or has them no more."""
    if unified:
        return frozenset(_NOT_IN_VERSION_2)
    return frozenset(name for name, file in _FILES.items() if not (root / file).exists())


def own_capabilities() -> frozenset[str]:
    """What we may hand on: our bounding set."""
    bits = next(
        int(line.split()[1], 16)
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapBnd")
    )
    return frozenset(f"CAP_{name}" for number, name in enumerate(_CAPABILITIES.split()) if bits >> number & 1)


def _named_devices(paths: Iterable[str]) -> dict[str, HostDevice]:
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            node = os.stat(path)
            if stat.S_ISCHR(node.st_mode) or stat.S_ISBLK(node.st_mode):
                found[path] = _device(node)
    return found


def _asked_device(path: str) -> dict[str, HostDevice]:
    """A node by itself, or all below a directory.  Raises Invalid, in the words that Docker's users know."""
    found = _devices_below(path) if os.path.isdir(path) else _named_devices([path])
    if not found:
        why = "not a device node" if os.path.exists(path) else "no such file or directory"
        said = f'error gathering device information while adding custom device "{path[:200]}": {why}'
        raise Invalid(message=said)
    return found


def _devices_below(top: str) -> dict[str, HostDevice]:
    """Raises Invalid: that is no directory of devices."""
    found: dict[str, HostDevice] = {}
    seen = 0
    for directory, below, names in os.walk(top):
        seen += len(below) + len(names)
        if seen > _MOST_FILES:
            raise Invalid(message=f"{top[:200]} has more than {_MOST_FILES} files: too many to look for devices in")
        if directory == "/dev":
            below[:] = [name for name in below if name not in _RUNTIMES_OWN]
        paths = (f"{directory}/{name}" for name in names if directory != "/dev" or name not in _RUNTIMES_OWN)
        found |= _named_devices(path for path in paths if not os.path.islink(path))
    return found


def _device(node: os.stat_result) -> HostDevice:
    return HostDevice(
        kind="b" if stat.S_ISBLK(node.st_mode) else "c",
        major=os.major(node.st_rdev),
        minor=os.minor(node.st_rdev),
        mode=stat.S_IMODE(node.st_mode),
        uid=node.st_uid,
        gid=node.st_gid,
    )
