"""What `docker info` and `docker version` say of the machine and of what we stand on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What does not change while we run.  `programs`: name -> version of what is beside us (crun, conmon, nft).

    `id` is the cloud's; `root_path` where it keeps everything; `cgroups` 1 or 2; `runtime` the name of the program
    that makes containers; `proxies` HttpProxy, HttpsProxy, NoProxy of our own environment.
    """

    id: str
    name: str
    root_path: str
    version: str
    runtime: str
    cgroups: int
    programs: dict[str, str] = field(default_factory=dict)
    proxies: dict[str, str] = field(default_factory=dict)


def architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def machine() -> dict[str, Any]:
    """The machine's part of /info."""
    release = platform.freedesktop_os_release() if os.path.exists("/etc/os-release") else {}
    return {
        "Name": platform.node(),
        "KernelVersion": platform.release(),
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "IPv4Forwarding": _says_yes("/proc/sys/net/ipv4/ip_forward"),
        "NFd": len(os.listdir("/proc/self/fd")),
    }


def backing_filesystem(path: str) -> str:
    """The type of the file system that holds `path`, as /proc/mounts names it."""
    best, found = "", ""
    for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines():
        words = line.split()
        where = words[1].rstrip("/") + "/"
        if (path + "/").startswith(where) and len(where) >= len(best):
            best, found = where, words[2]
    return {"ext4": "extfs", "ext3": "extfs"}.get(found, found)


def _says_yes(path: str) -> bool:
    try:
        return Path(path).read_text().strip() == "1"
    except OSError:
        return False
