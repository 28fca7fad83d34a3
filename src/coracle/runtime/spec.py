"""From a Bundle to the config.json that the runtime is given.  Pure.

What the machine allows (its processors, our own capabilities) comes in as `Host`, so that the same Bundle gives the
same text everywhere.  Names and numbers are checked here, because the runtimes of Debian 12 do not check them: a uid
beyond 2^31 would wrap to root, a working directory under /proc leads out of the container.

Source: OCI Runtime Specification 1.0.2, config.md and config-linux.md; docker.md 6.1 and 6.2.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coracle.core.errors import Invalid, Problem
from coracle.core.errors import invalid as invalid_value
from coracle.runtime import seccomp
from coracle.runtime.api import Bundle, Device, Mount, Process, Resources

Json = dict[str, Any]

OCI_VERSION = "1.0.2"
_LARGEST_ID = 2**31 - 1

MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device node of the host: `kind` c or b, numbers, and who may use it."""

    kind: str
    major: int
    minor: int
    mode: int = 0o660
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """What this machine and this process can give.

    `capabilities` None: all there are.  `oom_score_adj_floor`: below it we may not go.  `devices`: by path, those that
    Bundles name, and for privileged ones all of /dev.
    """

    processors: int = 1
    capabilities: frozenset[str] | None = None
    oom_score_adj_floor: int = -1000
    devices: Mapping[str, HostDevice] = field(default_factory=dict)


def config(bundle: Bundle, host: Host, cgroup_path: str) -> Json:
    """The whole config.json.  Raises Invalid, naming the field of the Bundle."""
    problems = problems_of(bundle)
    if problems:
        raise Invalid(problems, kind="Container", name=bundle.id)
    text: Json = {
        "ociVersion": OCI_VERSION,
        "root": {"path": bundle.rootfs_path, "readonly": bundle.read_only_root},
        "process": process(bundle.process, host, privileged=bundle.privileged),
        "mounts": mounts(bundle),
        "annotations": dict(bundle.annotations),
        "linux": _linux(bundle, host, cgroup_path),
    }
    if bundle.hostname and not bundle.utsns_path:
        text["hostname"] = bundle.hostname
    return text


def process(asked: Process, host: Host, *, privileged: bool = False) -> Json:
    """The `process` of config.json; by itself what `exec` is given.  Users are numbers only."""
    text: Json = {
        "terminal": asked.tty,
        "user": {"uid": asked.uid, "gid": asked.gid, "additionalGids": list(asked.groups), "umask": asked.umask},
        "args": list(asked.argv),
        "env": list(asked.env),
        "cwd": asked.cwd,
        "capabilities": _capabilities(asked, host, privileged=privileged),
        "noNewPrivileges": asked.no_new_privileges,
        "rlimits": [
            {"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard}
            for name, (soft, hard) in sorted(asked.rlimits.items())
        ],
        # Lowering it needs a right that a daemon in somebody's container may lack: then as low as we are ourselves.
        "oomScoreAdj": max(asked.oom_score_adj, host.oom_score_adj_floor),
    }
    if asked.tty and asked.tty_size:
        text["consoleSize"] = {"width": asked.tty_size[0], "height": asked.tty_size[1]}
    return text


def problems_of(bundle: Bundle) -> list[Problem]:
    """What no runtime should be asked."""
    found = process_problems(bundle.process)
    for number, mount in enumerate(bundle.mounts):
        found += _mount_problems(f"mounts[{number}]", mount)
    for name in bundle.sysctls:
        if _is_host_sysctl(name, bundle):
            found.append(invalid_value(f"sysctls[{name}]", name, "is not namespaced: it would change the host"))
    return found


def process_problems(asked: Process) -> list[Problem]:
    found: list[Problem] = []
    if not asked.argv or not asked.argv[0]:
        found.append(Problem("argv", "required", "Required value: no command specified"))
    for name, numbers in (("uid", (asked.uid,)), ("gid", (asked.gid,)), ("groups", asked.groups)):
        for number in numbers:
            if not 0 <= number <= _LARGEST_ID:
                found.append(invalid_value(name, number, f"must be between 0 and {_LARGEST_ID}, inclusive"))
    if any("\0" in text for text in (*asked.argv, *asked.env, asked.cwd)):
        found.append(Problem("argv", "invalid", "Invalid value: must not contain NUL"))
    if not asked.cwd.startswith("/") or _is_below(asked.cwd, "/proc"):
        found.append(invalid_value("cwd", asked.cwd, "must be an absolute path outside /proc"))
    for name, (soft, hard) in asked.rlimits.items():
        if soft > hard:
            found.append(invalid_value(f"rlimits[{name}]", soft, f"must not be above the hard limit {hard}"))
    return found


def mounts(bundle: Bundle) -> list[Json]:
    """The usual ones, then the caller's from the outside in; one of the caller's replaces a usual one of its target."""
    asked = sorted(bundle.mounts, key=lambda mount: _normal(mount.target).count("/"))
    replaced = {_normal(mount.target) for mount in asked}
    usual = [mount for mount in _usual_mounts(bundle) if mount["destination"] not in replaced]
    return usual + [_mount(mount) for mount in asked]


def _usual_mounts(bundle: Bundle) -> list[Json]:
    kernel = ["nosuid", "noexec", "nodev"]
    visible = kernel if bundle.privileged else [*kernel, "ro"]
    return [
        _new("/proc", "proc", kernel),
        _new("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _new("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        _new("/dev/shm", "tmpfs", [*kernel, "mode=1777", f"size={bundle.shm_bytes}"]),  # noqa: S108
        _new("/dev/mqueue", "mqueue", kernel),
        _new("/sys", "sysfs", visible),
        _new("/sys/fs/cgroup", "cgroup", [*visible, "relatime"]),
    ]


def _new(target: str, type: str, options: Sequence[str]) -> Json:
    return {"destination": target, "type": type, "source": type, "options": list(options)}


def _mount(asked: Mount) -> Json:
    options = [*asked.options, "ro"] if asked.read_only else list(asked.options)
    return {
        "destination": _normal(asked.target), "type": asked.type, "source": asked.source or asked.type,
        "options": options,
    }  # fmt: skip


def _linux(bundle: Bundle, host: Host, cgroup_path: str) -> Json:
    text: Json = {
        "cgroupsPath": cgroup_path,
        "namespaces": _namespaces(bundle),
        "resources": {**resources(bundle.resources), "devices": _device_rules(bundle, host)},
        "devices": [_device(device, host) for device in _all_devices(bundle, host)],
        "maskedPaths": list(_masked_paths(bundle, host)),
        "readonlyPaths": list(_read_only_paths(bundle)),
        "rootfsPropagation": _propagation(bundle.mounts),
    }
    if bundle.sysctls:
        text["sysctl"] = dict(bundle.sysctls)
    if bundle.seccomp == "default" and not bundle.privileged:
        text["seccomp"] = seccomp.profile(bundle.process.capabilities)
    return text


def _namespaces(bundle: Bundle) -> list[Json]:
    paths = {
        "pid": bundle.pidns_path, "network": bundle.netns_path, "ipc": bundle.ipcns_path, "uts": bundle.utsns_path,
        "mount": "",
    }  # fmt: skip
    return [{"type": type, "path": path} if path else {"type": type} for type, path in paths.items() if path != "host"]


def resources(asked: Resources) -> Json:
    """The `resources` of config.json; by itself what `update` is given.  Limits that are None are left out."""
    memory = _given(limit=asked.memory_bytes, swap=asked.memory_swap_bytes, reservation=asked.memory_reservation_bytes)
    cpu = _given(
        shares=asked.cpu_shares,
        quota=asked.cpu_quota_us,
        period=asked.cpu_period_us if asked.cpu_quota_us is not None else None,
        cpus=asked.cpuset_cpus or None,
    )
    pids = _given(limit=asked.pids)
    return {name: part for name, part in (("memory", memory), ("cpu", cpu), ("pids", pids)) if part}


def _given(**values: int | str | None) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _capabilities(asked: Process, host: Host, *, privileged: bool) -> Json:
    """Inheritable and ambient stay empty (CVE-2022-24769); who is not root has only the bound, not the rights."""
    names = sorted(host.capabilities or asked.capabilities) if privileged else sorted(asked.capabilities)
    if host.capabilities is not None:
        names = [name for name in names if name in host.capabilities]
    held = names if asked.uid == 0 else []
    return {"bounding": names, "effective": held, "permitted": held, "inheritable": [], "ambient": []}


def _all_devices(bundle: Bundle, host: Host) -> list[Device]:
    if not bundle.privileged:
        return list(bundle.devices)
    asked = {device.path for device in bundle.devices}
    return [*bundle.devices, *(Device(path=path, source=path) for path in sorted(host.devices) if path not in asked)]


def _device(device: Device, host: Host) -> Json:
    node = _node(device, host)
    return {
        "path": device.path, "type": node.kind, "major": node.major, "minor": node.minor, "fileMode": node.mode,
        "uid": node.uid, "gid": node.gid,
    }  # fmt: skip


def _device_rules(bundle: Bundle, host: Host) -> list[Json]:
    """Nothing but what is named; the runtime itself adds null, zero, full, random, urandom, tty and the terminals."""
    if bundle.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[Json] = [{"allow": False, "access": "rwm"}]
    for device in bundle.devices:
        node = _node(device, host)
        numbers = {"type": node.kind, "major": node.major, "minor": node.minor}
        rules.append({"allow": True, "access": device.access, **numbers})
    return rules


def _node(device: Device, host: Host) -> HostDevice:
    if device.source not in host.devices:
        raise Invalid([invalid_value("devices", device.source, "is not a device node of the host")], kind="Container")
    return host.devices[device.source]


def _masked_paths(bundle: Bundle, host: Host) -> Sequence[str]:
    if bundle.masked_paths is not None:
        return bundle.masked_paths
    if bundle.privileged:
        return ()
    throttles = (f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in range(host.processors))
    return (*MASKED_PATHS, *throttles)


def _read_only_paths(bundle: Bundle) -> Sequence[str]:
    if bundle.read_only_paths is not None:
        return bundle.read_only_paths
    return () if bundle.privileged else READ_ONLY_PATHS


def _propagation(asked: Sequence[Mount]) -> str:
    """A mount that is to share or follow the host's later mounts needs a root that does."""
    options = {option for mount in asked for option in mount.options}
    if options & {"shared", "rshared"}:
        return "rshared"
    return "rslave" if options & {"slave", "rslave"} else "rprivate"


def _mount_problems(field: str, mount: Mount) -> list[Problem]:
    target = _normal(mount.target)
    if not mount.target.startswith("/") or ".." in mount.target.split("/") or "\0" in mount.target:
        return [invalid_value(f"{field}.target", mount.target, "must be an absolute path without '..'")]
    # The masks rely on what the kernel shows in /proc.
    if target == "/" or target.startswith("/proc/") or (target == "/proc" and mount.type == "bind"):
        return [invalid_value(f"{field}.target", mount.target, "nothing can be mounted there")]
    if mount.type == "bind" and not mount.source.startswith("/"):
        return [invalid_value(f"{field}.source", mount.source, "must be an absolute path")]
    return []


def _is_host_sysctl(name: str, bundle: Bundle) -> bool:
    if bundle.privileged:
        return False
    parts = name.replace("/", ".")
    if parts.startswith("net."):
        return bundle.netns_path == "host"
    in_ipc = parts.startswith(("fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm"))
    return not in_ipc or bundle.ipcns_path == "host"


def _is_below(path: str, top: str) -> bool:
    normal = _normal(path)
    return normal == top or normal.startswith(top + "/")


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")
