"""`HostConfig` of a create request: read and checked, under Docker's names, without what is empty.

Source: Docker Engine API 1.50, "HostConfig"; moby daemon/container.go (validateHostConfig) for the messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.docker.containers import limits
from coracle.docker.containers.logconfig import LogRules, read_log_config
from coracle.docker.portmaps import read_bindings
from coracle.engine.kinds import sandbox as sandboxes
from coracle.engine.kinds.sandbox import SandboxSpec

_TEXTS = (
    "NetworkMode", "IpcMode", "PidMode", "UTSMode", "UsernsMode", "CgroupnsMode", "Runtime", "Isolation",
    "VolumeDriver", "Cgroup", "ContainerIDFile",
)  # fmt: skip
_FLAGS = ("AutoRemove", "PublishAllPorts", "Privileged", "ReadonlyRootfs", "Init")
_LISTS = (
    "Binds", "VolumesFrom", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd", "Links",
    "SecurityOpt", "DeviceCgroupRules",
)  # fmt: skip
_MAPS = ("Sysctls", "Tmpfs", "StorageOpt", "Annotations")
_OBJECTS = ("Mounts", "Devices", "DeviceRequests", "Ulimits")
_LARGEST_CONSOLE = 65535
_LONGEST_PATH = 4095
_RUNTIMES = ("", "crun", "runc", "io.containerd.runc.v2")
_POLICIES = ("no", "always", "unless-stopped", "on-failure")


def read_host_config(host: Fields) -> tuple[dict[str, Any], LogRules]:
    """HostConfig as it is kept, and what its log is to be.  Raises Malformed."""
    found: dict[str, Any] = {name: host.text(name) for name in _TEXTS}
    found |= {name: host.flag(name) for name in _FLAGS}
    found |= {name: list(host.texts(name)) for name in _LISTS}
    found |= {name: list(host.words(name)) for name in ("CapAdd", "CapDrop")}
    found |= {name: host.text_map(name) for name in _MAPS}
    found |= {name: host.raw(name) for name in _OBJECTS if host.objects(name)}
    found |= limits.read_limits(host)
    found["OomScoreAdj"] = host.number("OomScoreAdj")
    found["ShmSize"] = host.number("ShmSize")
    found["PortBindings"] = read_bindings(host.map("PortBindings"), "PortBindings")
    found["ConsoleSize"] = _console_size(host)
    kept = {name: value for name, value in found.items() if value or name == "MemorySwappiness"}
    for name in ("MaskedPaths", "ReadonlyPaths"):
        if name in host:
            kept[name] = _inside(name, host.texts(name))
    if kept.get("Memory") and not kept.get("MemorySwap"):
        kept["MemorySwap"] = limits.usual_swap(kept["Memory"])
    kept["NetworkMode"] = kept.get("NetworkMode") or "default"
    kept["RestartPolicy"] = read_restart_policy(host.fields("RestartPolicy"))
    kept["LogConfig"], rules = read_log_config(host)
    _check(kept)
    return kept, rules


def read_restart_policy(fields: Fields) -> dict[str, Any]:
    """Raises Malformed."""
    name, most = fields.text("Name"), fields.number("MaximumRetryCount")
    if name and name not in _POLICIES:
        words = "', '".join(("no", "always", "on-failure"))
        raise Malformed(
            f"invalid restart policy: unknown policy '{name[:60]}'; use one of '{words}', or 'unless-stopped'"
        )
    if name != "on-failure" and most:
        said = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        raise Malformed(said + (" and cannot be negative" if most < 0 else ""))
    if most < 0:
        raise Malformed("invalid restart policy: maximum retry count cannot be negative")
    return {"Name": name or "no", "MaximumRetryCount": most}


def read_ulimits(host: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """name -> (soft, hard).  Raises Malformed."""
    found = {}
    for limit in Fields({"Ulimits": host.get("Ulimits")}).objects("Ulimits"):
        name, soft = limit.text("Name").lower(), limit.number("Soft")
        hard = limit.number("Hard") if "Hard" in limit else soft
        if name not in _ULIMITS:
            raise Malformed(f"invalid ulimit type: {name[:40]}")
        if hard != -1 and (soft == -1 or soft > hard):
            raise Malformed(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
        if soft < -1 or hard < -1:
            raise Malformed(f"invalid ulimit {name}: {soft}:{hard}")
        found[name] = (soft, hard)
    return found


_ULIMITS = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


def _inside(name: str, paths: Iterable[str]) -> list[str]:
    """Paths as a container sees them.  Raises Malformed."""
    for path in paths:
        if not path.startswith("/") or "\0" in path or len(path.encode()) > _LONGEST_PATH:
            raise Malformed(f"invalid {name}: {path[:100]!r} must be an absolute path")
    return list(paths)


def _console_size(host: Fields) -> list[int]:
    """[rows, columns]; [] where there is no terminal to begin with."""
    given = host.raw("ConsoleSize") or [0, 0]
    whole = isinstance(given, list) and len(given) == 2 and all(type(one) is int for one in given)
    if not whole or not all(0 <= one <= _LARGEST_CONSOLE for one in given):
        raise Malformed("invalid JSON: HostConfig.ConsoleSize must be a list of two numbers")
    return list(given) if all(given) else []


def _check(host: Mapping[str, Any]) -> None:
    limits.check_limits(host)
    _check_extra_hosts(host)
    _check_sysctls(host)
    for address in host.get("Dns", ()):
        if not _is_address(address):
            raise Malformed(f"bad format for dns: {address[:60]!r} is not an IP address")
    if host.get("AutoRemove") and host["RestartPolicy"]["Name"] != "no":
        raise Malformed("can't create 'AutoRemove' container with restart policy")
    if not -1000 <= host.get("OomScoreAdj", 0) <= 1000:
        raise Malformed(f"Invalid value {host['OomScoreAdj']}, range for oom score adj is [-1000, 1000]")
    if host.get("ShmSize", 0) < 0:
        raise Malformed("SHM size can not be less than 0")
    if host.get("Runtime", "") not in _RUNTIMES:
        raise Malformed(f"unknown or invalid runtime name: {host['Runtime'][:60]}")
    if host.get("Isolation", "default") != "default":
        raise Malformed(f"invalid isolation '{host['Isolation'][:40]}' on linux")
    if host.get("StorageOpt"):
        raise Malformed("--storage-opt is not supported: the size of a container's root file system is not limited")
    for request in Fields(host).objects("DeviceRequests"):
        driver, wanted = request.text("Driver"), request.raw("Capabilities") or []
        raise Malformed(f'could not select device driver "{driver[:40]}" with capabilities: {_go_lists(wanted)}')
    read_ulimits(host)


def _check_extra_hosts(host: Mapping[str, Any]) -> None:
    for entry in host.get("ExtraHosts", ()):
        name, sign, address = re.split("([=:])", entry, maxsplit=1) if re.search("[=:]", entry) else (entry, "", "")
        if not sign or not name or not (address == "host-gateway" or _is_address(address.strip("[]"))):
            raise Malformed(f'bad format for add-host: "{entry[:100]}"')


def _check_sysctls(host: Mapping[str, Any]) -> None:
    """Only those of namespaces that are the container's own."""
    spec = SandboxSpec(name="sandbox", sysctls=host.get("Sysctls", {}), host_network=host.get("NetworkMode") == "host")
    for problem in sandboxes.KIND.validate(sandboxes.to_record(spec)):
        raise Malformed(f"sysctl is not allowed: {problem.field.removeprefix('spec.')}: {problem.text}")


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _go_lists(wanted: Any) -> str:
    """[["gpu"]] as Go prints it: [[gpu]]."""
    if isinstance(wanted, list):
        return "[" + " ".join(_go_lists(item) for item in wanted) + "]"
    return str(wanted)[:40]
