"""`coracle doctor`: is this machine fit, and is anything of ours left on it that should not be.

Each check looks, says what it found, and how to mend what is wrong.
"""

from __future__ import annotations

import ctypes.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from coracle.node import leftovers
from coracle.node.config import clouds

_FREE_BYTES = 2_000_000_000
_INOTIFY_INSTANCES = 128
_OPEN_FILES = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.  "fail": a cloud cannot work; "warn": something of it may not."""

    check: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    mend: str = ""

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def examine(*, fix: bool = False) -> list[Finding]:
    """Every finding, in a sensible order to read.  With `fix`, leftovers are removed and told as removed."""
    findings = [finding for check in CHECKS for finding in check()]
    return [*findings, *_leftovers(fix=fix)]


def _system() -> Iterator[Finding]:
    fits = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if fits else "fail", platform.python_version(), "use Python 3.11 or newer")
    root = os.geteuid() == 0
    yield Finding("root", "ok" if root else "warn", "yes" if root else "no", "start clouds with sudo")
    yield Finding("kernel", "ok", platform.release())


def _file_systems() -> Iterator[Finding]:
    known = Path("/proc/filesystems").read_text().split()
    there = "overlay" in known
    yield Finding("overlayfs", "ok" if there else "fail", "there" if there else "missing", "modprobe overlay")


def _namespaces() -> Iterator[Finding]:
    missing = [name for name in ("mnt", "net", "pid", "ipc", "uts") if not Path(f"/proc/self/ns/{name}").exists()]
    detail = f"missing: {', '.join(missing)}" if missing else "mnt net pid ipc uts"
    yield Finding("namespaces", "fail" if missing else "ok", detail, "use a kernel with these namespaces")


def _cgroups() -> Iterator[Finding]:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        there, version = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split(), "v2"
    else:
        there, version = [p.name for p in Path("/sys/fs/cgroup").iterdir()], "v1"
        version = "v1 (hybrid)" if "unified" in there else "v1"
    missing = [name for name in ("memory", "pids", "cpu") if name not in there]
    detail = f"{version}, missing: {', '.join(missing)}" if missing else version
    mend = "mount cgroups with these controllers (kernel command line: cgroup_enable=memory)"
    yield Finding("cgroups", "warn" if missing else "ok", detail, mend)


def _programs() -> Iterator[Finding]:
    runtimes = [name for name in ("crun", "runc") if shutil.which(name)]
    yield Finding("oci runtime", "ok" if runtimes else "fail", " ".join(runtimes) or "missing", "apt-get install crun")
    wanted = (
        ("conmon", "conmon", "fail"),
        ("mmdebstrap", "mmdebstrap", "warn"),
        ("apt-get", "apt", "warn"),
        ("kubectl", "kubernetes-client", "warn"),
    )
    for program, package, missing in wanted:
        path = shutil.which(program)
        state: Literal["ok", "warn", "fail"] = "ok" if path else ("fail" if missing == "fail" else "warn")
        yield Finding(program, state, path or "missing", f"apt-get install {package}")
    library = ctypes.util.find_library("nftables")
    yield Finding("libnftables", "ok" if library else "fail", library or "missing", "apt-get install libnftables1")


def _limits() -> Iterator[Finding]:
    instances = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    state: Literal["ok", "warn"] = "ok" if instances >= _INOTIFY_INSTANCES else "warn"
    yield Finding("inotify", state, f"{instances} instances", "sysctl -w fs.inotify.max_user_instances=512")
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    state = "ok" if hard >= _OPEN_FILES or hard == resource.RLIM_INFINITY else "warn"
    yield Finding("open files", state, f"at most {hard}", f"ulimit -Hn {_OPEN_FILES * 16} before starting")
    free = shutil.disk_usage("/var/lib").free
    state = "ok" if free >= _FREE_BYTES else "warn"
    yield Finding("disk", state, f"{free / 1e9:.1f} GB free in /var/lib", "make room, or use --root on another disk")


def _firewall() -> Iterator[Finding]:
    """A FORWARD chain of somebody else's whose policy is drop stops packets between containers and outside."""
    if not Path("/proc/net/ip_tables_names").exists():
        return
    tables = Path("/proc/net/ip_tables_names").read_text().split()
    said = "legacy iptables tables: " + (" ".join(tables) or "none")
    yield Finding("iptables", "ok", said)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _system,
    _file_systems,
    _namespaces,
    _cgroups,
    _programs,
    _limits,
    _firewall,
)


def _leftovers(*, fix: bool) -> Iterator[Finding]:
    found = leftovers.find()
    if not found:
        yield Finding("leftovers", "ok", f"none; clouds known: {', '.join(clouds()) or 'none'}")
        return
    removed = leftovers.remove(found) if fix else set()
    for thing in found:
        if thing in removed:
            yield Finding("leftovers", "ok", f"{thing.sort} {thing.name} removed")
        else:
            yield Finding("leftovers", "warn", f"{thing.sort} {thing.name}", "sudo coracle doctor --fix")
