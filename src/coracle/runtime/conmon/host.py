"""What this machine can give containers, looked at once; device nodes and profiles are looked at when named."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from coracle.core.errors import Invalid
from coracle.runtime import spec
from coracle.runtime.api import Bundle, Process

# Names by number; Source: linux/capability.h.
_CAPABILITIES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_LOWEST_OOM_SCORE_ADJ = -1000
# Made by the runtime in every container; not to be made again for a privileged one.
_RUNTIMES_OWN = ("console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
                 "tty", "urandom", "zero")  # fmt: skip


class Seen:
    """The machine as we see it."""

    def config(self, bundle: Bundle, cgroup_path: str) -> dict[str, Any]:
        """config.json for `bundle` here.  Raises Invalid."""
        devices = _all_devices() if bundle.privileged else {}
        devices |= _named_devices(device.source for device in bundle.devices)
        text = spec.config(bundle, replace(self._host, devices=devices), cgroup_path)
        if bundle.seccomp.startswith("/"):
            text["linux"]["seccomp"] = _profile(bundle.seccomp)
        return text

    def process(self, asked: Process, *, privileged: bool = False) -> dict[str, Any]:
        """The process of an `exec` here.  Raises Invalid."""
        problems = spec.process_problems(asked)
        if problems:
            raise Invalid(problems, kind="Container")
        return spec.process(asked, self._host, privileged=privileged)

    @cached_property
    def _host(self) -> spec.Host:
        mine = own_capabilities()
        own_adj = int(Path("/proc/self/oom_score_adj").read_text())
        floor = _LOWEST_OOM_SCORE_ADJ if "CAP_SYS_RESOURCE" in mine else own_adj
        return spec.Host(processors=os.cpu_count() or 1, capabilities=mine, oom_score_adj_floor=floor)


def own_capabilities() -> frozenset[str]:
    """What we may hand on: our bounding set."""
    bits = next(
        int(line.split()[1], 16)
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapBnd")
    )
    return frozenset(f"CAP_{name}" for number, name in enumerate(_CAPABILITIES.split()) if bits >> number & 1)


def _named_devices(paths: Iterable[str]) -> dict[str, spec.HostDevice]:
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            node = os.stat(path)
            if stat.S_ISCHR(node.st_mode) or stat.S_ISBLK(node.st_mode):
                found[path] = _device(node)
    return found


def _all_devices() -> dict[str, spec.HostDevice]:
    found: dict[str, spec.HostDevice] = {}
    for directory, below, names in os.walk("/dev"):
        if directory == "/dev":
            below[:] = [name for name in below if name not in _RUNTIMES_OWN]
        paths = (f"{directory}/{name}" for name in names if directory != "/dev" or name not in _RUNTIMES_OWN)
        found |= _named_devices(path for path in paths if not os.path.islink(path))
    return found


def _device(node: os.stat_result) -> spec.HostDevice:
    return spec.HostDevice(
        kind="b" if stat.S_ISBLK(node.st_mode) else "c",
        major=os.major(node.st_rdev),
        minor=os.minor(node.st_rdev),
        mode=stat.S_IMODE(node.st_mode),
        uid=node.st_uid,
        gid=node.st_gid,
    )


def _profile(path: str) -> dict[str, Any]:
    """A seccomp profile of the user's, in OCI's words.  Raises Invalid."""
    try:
        text = orjson.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(message=f"seccomp profile {path} cannot be read: {error}") from error
    if not isinstance(text, dict) or "defaultAction" not in text:
        raise Invalid(message=f"seccomp profile {path} has no defaultAction")
    return text
