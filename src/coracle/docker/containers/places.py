"""Where a container lives: the sandbox that it has for itself, from what it was created with; pure.

Source: Docker Engine API 1.50, "HostConfig"; Docker's documentation, "Container networking".
"""

from __future__ import annotations

from typing import Any

from coracle.core.object import Object
from coracle.docker.containers import details
from coracle.docker.containers.modes import joined
from coracle.engine.kinds.sandbox import DnsConfig, Endpoint, SandboxSpec

SHM_BYTES = 64 * 1024 * 1024


def has_own_sandbox(record: Object) -> bool:
    """Not that of a pod, or of another container (--network container:web)."""
    return bool(record.spec["sandbox"] == record.meta.name)


def sandbox_spec(record: Object, endpoints: tuple[Endpoint, ...], gateway: str = "") -> SandboxSpec:
    """`gateway` is what "host-gateway" means in ExtraHosts."""
    config, host = details.config(record), details.host_config(record)
    mode = details.network_mode(record)
    return SandboxSpec(
        name=record.meta.name,
        hostname=str(config.get("Hostname") or ""),
        domain=str(config.get("Domainname") or ""),
        endpoints=endpoints,
        host_network=mode == "host",
        owner=f"container {record.spec['name']}",
        dns=DnsConfig(
            servers=tuple(host.get("Dns", ())),
            searches=tuple(host.get("DnsSearch", ())),
            options=tuple(host.get("DnsOptions", ())),
            embedded=bool(endpoints),
        ),
        hosts=tuple(_extra_hosts(host.get("ExtraHosts", ()), gateway)),
        shm_bytes=int(host.get("ShmSize") or SHM_BYTES),
        sysctls=dict(host.get("Sysctls", {})),
    )


def names_another(record: Object) -> str:
    """The container whose sandbox it shares, as it was asked for, or ""."""
    return joined(details.network_mode(record))


def _extra_hosts(entries: Any, gateway: str) -> list[tuple[str, str]]:
    """ "db:10.0.0.3" and "db=10.0.0.3" to (address, name)."""
    found = []
    for entry in entries:
        at = min(entry.index(sign) for sign in "=:" if sign in entry)
        name, address = entry[:at], entry[at + 1 :].strip("[]")
        found.append((gateway if address == "host-gateway" else address, name))
    return [(address, name) for address, name in found if address]
