"""What is to be told of this host: its name, its address, its container runtime."""

from __future__ import annotations

import functools
import platform
import socket
from ipaddress import IPv4Address
from pathlib import Path

from coracle.node.config import Settings
from coracle.node.versions import PROGRAMS, program_version
from coracle.runtime.conmon.monitor import find_binaries


def node_name() -> str:
    """The host's name as Kubernetes names nodes."""
    return platform.node().lower() or "localhost"


def runtime_name() -> str:
    return Path(find_binaries().runtime).name


@functools.cache
def runtime_version() -> str:
    """Such as `crun://1.8.1`."""
    name = runtime_name()
    return f"{name}://{program_version(PROGRAMS[name])}"


def has_apparmor() -> bool:
    """Whether the kernel confines by AppArmor's profiles."""
    try:
        return Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y")
    except OSError:
        return False


def address(settings: Settings) -> IPv4Address:
    """The address that this host has towards others; the cloud's gateway where it has no route out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address; nothing is sent
        except OSError:
            return settings.gateway
        return IPv4Address(probe.getsockname()[0])
