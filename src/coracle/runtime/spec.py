"""From a Bundle to the config.json that the runtime is given.  Pure.

What the machine allows (its processors, our own capabilities) comes in as `Host`, so that the same Bundle gives the
same text everywhere.  Names and numbers are checked here, because the runtimes of Debian 12 do not check them: a uid
beyond 2^31 would wrap to root, a working directory under /proc leads out of the container.

Source: OCI Runtime Specification 1.0.2, config.md and config-linux.md; docker.md 6.1 and 6.2.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any

from coracle.core.errors import Invalid, Problem
from coracle.core.errors import invalid as invalid_value
from coracle.runtime import devices, seccomp
from coracle.runtime.api import Bundle, Mount, Process
from coracle.runtime.limits import resources
from coracle.runtime.machine import Host

Json = dict[str, Any]

OCI_VERSION = "1.0.2"
_LARGEST_ID = 2**31 - 1
_UNLIMITED = 2**64 - 1

MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
_SHM = "/dev/shm"  # noqa: S108
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def config(bundle: Bundle, host: Host, cgroup_path: str, shm_path: str = "") -> Json:
    """The whole config.json.  Raises Invalid, naming the field of the Bundle.

    `shm_path`: the directory of the host with the memory that `shm` "shared" and "of:<id>" mean.
    """
    problems = problems_of(bundle)
    if problems:
        raise Invalid(problems, kind="Container", name=bundle.id)
    text: Json = {
        "ociVersion": OCI_VERSION,
        "root": {"path": bundle.rootfs_path, "readonly": bundle.read_only_root},
        "process": process(bundle.process, host, privileged=bundle.privileged),
        "mounts": mounts(bundle, shm_path),
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
            {"type": f"RLIMIT_{name.upper()}", "soft": _rlimit(soft), "hard": _rlimit(hard)}
            for name, (soft, hard) in sorted(asked.rlimits.items())
        ],
        # Lowering it needs a right that a daemon in somebody's container may lack: then as low as we are ourselves.
        "oomScoreAdj": max(asked.oom_score_adj, host.oom_score_adj_floor),
    }
    if asked.apparmor:
        text["apparmorProfile"] = asked.apparmor
    if asked.tty and asked.tty_size:
        text["consoleSize"] = {"width": asked.tty_size[0], "height": asked.tty_size[1]}
    return text


def _rlimit(value: int) -> int:
    """-1 is what people write for no limit."""
    return _UNLIMITED if value == -1 else value


def problems_of(bundle: Bundle) -> list[Problem]:
    """What no runtime should be asked."""
    found = process_problems(bundle.process)
    for number, mount in enumerate(bundle.mounts):
        found += _mount_problems(f"mounts[{number}]", mount)
    found += devices.problems_of(bundle)
    for name in bundle.sysctls:
        if _is_host_sysctl(name, bundle):
            found.append(invalid_value(f"sysctls[{name}]", name, "is not namespaced: it would change the host"))
    return found


def process_problems(asked: Process) -> list[Problem]:
    found: list[Problem] = []
    if not asked.argv:
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
        if _rlimit(soft) > _rlimit(hard) or min(soft, hard) < -1:
            found.append(invalid_value(f"rlimits[{name}]", soft, f"must not be above the hard limit {hard}"))
    return found


def mounts(bundle: Bundle, shm_path: str = "") -> list[Json]:
    """The usual ones, then the caller's from the outside in; one of the caller's replaces a usual one of its target."""
    asked = sorted(bundle.mounts, key=lambda mount: _normal(mount.target).count("/"))
    replaced = {_normal(mount.target) for mount in asked}
    usual = [mount for mount in _usual_mounts(bundle, shm_path) if mount["destination"] not in replaced]
    return usual + [_mount(mount) for mount in asked]


def _usual_mounts(bundle: Bundle, shm_path: str) -> list[Json]:
    kernel = ["nosuid", "noexec", "nodev"]
    visible = kernel if bundle.privileged else [*kernel, "ro"]
    found = [
        _new("/proc", "proc", kernel),
        _new("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _new("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        _new("/dev/mqueue", "mqueue", kernel),
        _new("/sys", "sysfs", visible),
        _new("/sys/fs/cgroup", "cgroup", [*visible, "relatime"]),
    ]
    if bundle.shm == "none":
        return found
    if bundle.shm:
        source = _SHM if bundle.shm == "host" else shm_path
        return [*found, {**_new(_SHM, "bind", ["rbind", "rprivate", *kernel]), "source": source}]
    return [*found, {**_new(_SHM, "tmpfs", [*kernel, "mode=1777", f"size={bundle.shm_bytes}"]), "source": "shm"}]


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
        "namespaces": _namespaces(bundle, host),
        "resources": {**resources(bundle.resources, host), "devices": devices.rules(bundle, host)},
        "devices": devices.nodes(bundle, host),
        "maskedPaths": list(_masked_paths(bundle, host)),
        "readonlyPaths": list(_read_only_paths(bundle)),
        "rootfsPropagation": _propagation(bundle.mounts),
    }
    sysctls = {**bundle.sysctls, **({"kernel.domainname": bundle.domainname} if bundle.domainname else {})}
    if sysctls:
        text["sysctl"] = sysctls
    if bundle.seccomp == "default" and not bundle.privileged:
        text["seccomp"] = seccomp.profile(bundle.process.capabilities)
    return text


def _namespaces(bundle: Bundle, host: Host) -> list[Json]:
    groups = bundle.cgroupns or ("private" if host.unified else "host")
    paths = {
        "pid": bundle.pidns_path, "network": bundle.netns_path, "ipc": bundle.ipcns_path, "uts": bundle.utsns_path,
        "cgroup": "host" if groups == "host" else "", "mount": "",
        "user": bundle.users.path if bundle.users is not None else "host",
    }  # fmt: skip
    return [{"type": type, "path": path} if path else {"type": type} for type, path in paths.items() if path != "host"]


def _capabilities(asked: Process, host: Host, *, privileged: bool) -> Json:
    """Inheritable and ambient stay empty (CVE-2022-24769); who is not root has only the bound, not the rights."""
    names = sorted(host.capabilities or asked.capabilities) if privileged else sorted(asked.capabilities)
    if host.capabilities is not None:
        names = [name for name in names if name in host.capabilities]
    held = names if asked.uid == 0 else []
    return {"bounding": names, "effective": held, "permitted": held, "inheritable": [], "ambient": []}


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
    if parts in ("kernel.domainname", "kernel.hostname"):
        return bundle.utsns_path == "host"
    in_ipc = parts.startswith(("fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm"))
    return not in_ipc or bundle.ipcns_path == "host"


def _is_below(path: str, top: str) -> bool:
    normal = _normal(path)
    return normal == top or normal.startswith(top + "/")


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")
