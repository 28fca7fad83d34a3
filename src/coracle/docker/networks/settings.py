"""NetworkSettings of a container, as inspect and list show them.  Pure.

What it has now comes from its sandbox, what it will have at its next start from its details.

Source: Docker Engine API, NetworkSettings, EndpointSettings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from coracle.core.errors import NotFound
from coracle.core.object import Object
from coracle.docker.networks import modes
from coracle.docker.networks.endpoints import Lookup
from coracle.docker.portmaps import exposed

_NOTHING: Mapping[str, Any] = {
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
}


def network_settings(container: Object, sandbox: Object | None, lookup: Lookup) -> dict[str, Any]:
    """`sandbox`: the container's own, or the one it shares; None: it has none now.  API 1.50."""
    now = _plugged(sandbox)
    default = _endpoint_now(container, now[modes.BRIDGE]) if modes.BRIDGE in now else dict(_NOTHING)
    return {
        "Bridge": "",
        "SandboxID": sandbox.meta.name if sandbox is not None else "",
        "SandboxKey": _sandbox_key(sandbox),
        "Ports": _ports(container) if now else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **default,
        "Networks": endpoint_settings(container, sandbox, lookup),
    }


def endpoint_settings(container: Object, sandbox: Object | None, lookup: Lookup) -> dict[str, Any]:
    """NetworkSettings.Networks: what it is plugged into, or will be."""
    now = _plugged(sandbox)
    details = container.spec.get("details") or {}
    mode = modes.normal((details.get("HostConfig") or {}).get("NetworkMode") or "")
    if modes.container_of(mode):
        return {}
    kept = (details.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    names = sorted(kept) if details else sorted(now)  # a pod's container keeps nothing with us
    if sandbox is not None:
        now |= {name: {"network": name} for name in names if name in (modes.HOST, modes.NONE)}
    return {name: _settings(container, name, kept.get(name) or {}, now.get(name), lookup) for name in names}


def names_of(container: Object, network: str) -> list[str]:
    """What a container is called on a network that a user made: its name, aliases, short id, hostname."""
    details = container.spec.get("details") or {}
    kept = ((details.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}).get(network) or {}
    hostname = (details.get("Config") or {}).get("Hostname") or ""
    names = [container.spec["name"], *(kept.get("Aliases") or ()), container.meta.name[:12], hostname]
    return [name for name in dict.fromkeys(names) if name]


def endpoint_id(container: Object, network: str) -> str:
    """64 hex digits, the same as long as the container is plugged into that network."""
    text = f"{container.meta.name}/{network}/{container.status.get('started_at', '')}"
    return hashlib.sha256(text.encode()).hexdigest()


def _settings(
    container: Object, name: str, kept: Mapping[str, Any], now: Mapping[str, Any] | None, lookup: Lookup
) -> dict[str, Any]:
    present = (
        _endpoint_now(container, now) if now is not None else {**_NOTHING, "MacAddress": kept.get("MacAddress", "")}
    )
    return {
        "IPAMConfig": kept.get("IPAMConfig") or None,
        "Links": kept.get("Links") or None,
        "Aliases": kept.get("Aliases") or None,
        "DriverOpts": kept.get("DriverOpts") or None,
        "GwPriority": kept.get("GwPriority", 0),
        "NetworkID": _network_id(name, lookup),
        **present,
        "DNSNames": names_of(container, name) if modes.is_own(name) else None,
    }


def _endpoint_now(container: Object, now: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "EndpointID": endpoint_id(container, now["network"]),
        "Gateway": now.get("gateway", ""),
        "IPAddress": now.get("address", ""),
        "IPPrefixLen": now.get("prefix", 0),
        "IPv6Gateway": now.get("gateway6", ""),
        "GlobalIPv6Address": now.get("address6", ""),
        "GlobalIPv6PrefixLen": now.get("prefix6", 0),
        "MacAddress": now.get("mac", ""),
    }


def _ports(container: Object) -> dict[str, Any]:
    """Those that are published, and None for those that are only exposed."""
    bound = (container.status.get("details") or {}).get("Ports") or {}
    return {**dict.fromkeys(exposed(container.spec.get("details") or {})), **bound}


def _plugged(sandbox: Object | None) -> dict[str, Mapping[str, Any]]:
    """By network."""
    if sandbox is None:
        return {}
    return {one["network"]: one for one in sandbox.status.get("endpoints") or () if one.get("state") != "leaving"}


def _sandbox_key(sandbox: Object | None) -> str:
    path = sandbox.status.get("netns_path", "") if sandbox is not None else ""
    return "/var/run/docker/netns/default" if path == "host" else path


def _network_id(name: str, lookup: Lookup) -> str:
    try:
        return lookup(name).meta.name
    except NotFound:
        return ""
