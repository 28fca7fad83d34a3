"""What this machine is, and how it is now.  Blocks (reads small files)."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass

from coracle.engine.kinds.sandbox import DnsConfig
from coracle.kube.kubelet.thresholds import BYTES, INODES, MEMORY, PIDS, Stock

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64"}


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine is; does not change while we run.  `boot_id`, `machine_id`: as Linux has them."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    kernel: str = ""
    os_image: str = ""
    machine_id: str = ""
    boot_id: str = ""
    architecture: str = "amd64"
    runtime: str = "coracle://0.1.0"


def read_machine(disk_path: str, runtime: str) -> Machine:
    """What this machine is."""
    release = platform.freedesktop_os_release() if os.path.exists("/etc/os-release") else {}
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk_bytes=shutil.disk_usage(disk_path).total,
        kernel=platform.release(),
        os_image=release.get("PRETTY_NAME", "Linux"),
        machine_id=_line("/etc/machine-id"),
        boot_id=_line("/proc/sys/kernel/random/boot_id"),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        runtime=runtime,
    )


def read_stocks(disk_path: str) -> dict[str, Stock]:
    """What is left now, by the signals of `thresholds`."""
    disk = os.statvfs(disk_path)
    room = Stock(disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize)
    names = Stock(disk.f_files, disk.f_favail)
    return {MEMORY: read_memory(), PIDS: _processes(), **dict.fromkeys(BYTES, room), **dict.fromkeys(INODES, names)}


def read_memory() -> Stock:
    """In bytes; available is what programs could have without swapping."""
    with open("/proc/meminfo", encoding="ascii") as file:
        found = {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in file)}
    return Stock(found["MemTotal"], found.get("MemAvailable", found["MemFree"]))


def _processes() -> Stock:
    with open("/proc/loadavg", encoding="ascii") as file:
        tasks = int(file.read().split()[3].partition("/")[2])
    most = min(int(_line(f"/proc/sys/kernel/{name}") or 0) for name in ("pid_max", "threads-max"))
    return Stock(most, most - tasks)


def read_host_dns(path: str = "/etc/resolv.conf") -> DnsConfig:
    """What the host's resolv.conf says.  A host without one: pods have the cluster's names only."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [words for line in file if (words := line.split("#")[0].split())]
    except FileNotFoundError:
        return DnsConfig()
    last = {words[0]: tuple(words[1:]) for words in lines}
    servers = tuple(words[1] for words in lines if words[0] == "nameserver" and len(words) > 1)
    return DnsConfig(servers=servers, searches=last.get("search", ()), options=last.get("options", ()))


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""
