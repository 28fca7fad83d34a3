"""From a create request to what the engine makes; pure.

    body -> read_request -> Asked -> (image) -> merged Config -> container_spec -> ContainerSpec

Source: Docker Engine API 1.50, "ContainerCreate"; docker.md 1.2 and 6.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.docker.containers import limits
from coracle.docker.containers.config import argv, read_config
from coracle.docker.containers.details import MADE_BY
from coracle.docker.containers.hostconfig import read_host_config, read_ulimits
from coracle.docker.containers.logconfig import LogRules
from coracle.docker.containers.modes import check_modes
from coracle.docker.containers.security import security
from coracle.docker.mounts import DETAIL, Prepared
from coracle.docker.networks.endpoints import Lookup, read_networking
from coracle.engine.kinds.container import ContainerSpec
from coracle.runtime.api import Device

_RLIMIT_INFINITY = 2**64 - 1
MARK = "/.dockerenv"  # programs look for it
_WITHOUT_EFFECT = (
    "KernelMemory", "KernelMemoryTCP", "CgroupParent", "Cgroup", "CpuCount", "CpuPercent", "IOMaximumIOps",
    "IOMaximumBandwidth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read: `config`, `host`, `networking` under Docker's names."""

    config: Mapping[str, Any]
    host: Mapping[str, Any]
    networking: Mapping[str, Any]
    log: LogRules
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What else is known when the engine's spec is made.

    config   merged with the image's
    sandbox  "" for its own; another container's for --network container:<name>
    pid_mode, ipc_mode   with ids where the request has names
    """

    name: str
    config: Mapping[str, Any]
    created_at: str
    mounts: Prepared
    sandbox: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""


def read_request(body: Fields, lookup: Lookup) -> Asked:
    """`lookup` finds networks.  Raises Malformed and Invalid, in dockerd's words."""
    config = read_config(body)
    host, log = read_host_config(body.fields("HostConfig"))
    if not config.get("Image"):
        raise Malformed("no image specified: Image must not be empty")
    check_modes(config, host)
    security(host)
    networking = read_networking(
        body.fields("NetworkingConfig"), host["NetworkMode"], config.get("MacAddress", ""), lookup
    )
    return Asked(config, host, networking, log, tuple(_ignored(host)))


def container_spec(asked: Asked, given: Given) -> ContainerSpec:
    """What the engine is to make."""
    config, host = given.config, asked.host
    details = {
        "Config": dict(config),
        "HostConfig": dict(host),
        "NetworkingConfig": dict(asked.networking),
        DETAIL: given.mounts.details,
        "Created": given.created_at,
    }
    return ContainerSpec(
        name=given.name,
        image=config["Image"],
        sandbox=given.sandbox,
        argv=argv(config),
        env=tuple(entry for entry in config.get("Env", ()) if "=" in entry),
        workdir=config.get("WorkingDir", ""),
        user=config.get("User", ""),
        groups=tuple(host.get("GroupAdd", ())),
        mounts=given.mounts.mounts,
        volumes=given.mounts.volumes,
        resources=limits.resources(host),
        security=security(host),
        tty=bool(config.get("Tty")),
        tty_size=(host["ConsoleSize"][1], host["ConsoleSize"][0]) if host.get("ConsoleSize") else None,
        stdin=bool(config.get("OpenStdin")),
        stdin_once=bool(config.get("StdinOnce")) and not config.get("Tty"),  # a terminal has no end of input
        stop_signal=config.get("StopSignal", ""),
        labels=config.get("Labels", {}),
        owner=f"container {given.name}",
        log_limit_bytes=asked.log.limit_bytes,
        log_files=asked.log.files,
        keeps_log=asked.log.keeps,
        oom_score_adj=host.get("OomScoreAdj", 0),
        pid_mode=given.pid_mode,
        ipc_mode=given.ipc_mode,
        uts_mode=_uts_mode(config, host),
        mark=MARK,
        cgroup_mode=host.get("CgroupnsMode", ""),
        domainname=config.get("Domainname", ""),
        shm_bytes=host.get("ShmSize") or None,
        device_rules=tuple(host.get("DeviceCgroupRules", ())),
        devices=devices(host),
        rlimits={name: (_limit(soft), _limit(hard)) for name, (soft, hard) in read_ulimits(host).items()},
        init=bool(host.get("Init")),
        made_by=MADE_BY,
        details=details,
    )


def devices(host: Mapping[str, Any]) -> tuple[Device, ...]:
    """Raises Malformed."""
    found = []
    for device in Fields({"Devices": host.get("Devices")}, "HostConfig").objects("Devices"):
        source = device.text("PathOnHost")
        target, access = device.text("PathInContainer") or source, device.text("CgroupPermissions") or "rwm"
        if not source.startswith("/") or not target.startswith("/"):
            raise Malformed(f"invalid device {source[:100]!r}: paths of devices are absolute")
        if not set(access) <= set("rwm"):
            raise Malformed(f"invalid device mode: {access[:40]}")
        found.append(Device(path=target, source=source, access=access))
    return tuple(found)


def _uts_mode(config: Mapping[str, Any], host: Mapping[str, Any]) -> str:
    """With the host's network a name of its own needs names of its own."""
    alone = host.get("NetworkMode") == "host" and config.get("Hostname")
    return str(host.get("UTSMode") or ("private" if alone else ""))


def _limit(value: int) -> int:
    return _RLIMIT_INFINITY if value == -1 else value


def _ignored(host: Mapping[str, Any]) -> list[str]:
    """Warnings: what is asked and has no effect here."""
    said = [
        f"{name} is not supported by this kernel or runtime and is ignored."
        for name in _WITHOUT_EFFECT
        if host.get(name)
    ]
    if host.get("OomKillDisable") and not host.get("Memory"):
        said.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    if host.get("Runtime") == "runc":
        said.append("Runtime runc is taken for the default one.")
    published = host.get("PortBindings") or host.get("PublishAllPorts")
    if host.get("NetworkMode") == "host" and published:
        said.append("Published ports are discarded when using host network mode")
    return said
