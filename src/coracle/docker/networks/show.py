"""A network as Docker's clients see it.  Pure.

Source: Docker Engine API, Network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from coracle.core.object import Object
from coracle.docker.networks.modes import BRIDGE
from coracle.docker.networks.settings import endpoint_id


def show(network: Object, containers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`containers`: as `members` makes it; None: not told."""
    spec, details = network.spec, network.spec["details"]
    return {
        "Name": spec["name"],
        "Id": network.meta.name,
        "Created": network.meta.created,
        "Scope": "local",
        "Driver": driver_of(network),
        "EnableIPv4": True,
        "EnableIPv6": bool(spec["subnet6"]),
        "IPAM": {
            "Driver": "default",
            "Options": details["IPAM"].get("Options") or {} if details.get("IPAM") else None,
            "Config": _ipam(network),
        },
        "Internal": spec["internal"],
        "Attachable": bool(details.get("Attachable")),
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": containers or {},
        "Options": options_of(network),
        "Labels": network.meta.labels,
    }


def driver_of(network: Object) -> str:
    return str(network.spec["details"].get("Driver") or "bridge")


def options_of(network: Object) -> dict[str, str]:
    """What the user gave; for the default network what it is, as clients look there for its link."""
    if network.spec["name"] != BRIDGE:
        return dict(network.spec["details"].get("Options") or {})
    return {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",  # noqa: S104 - text
        "com.docker.network.bridge.name": network.spec["bridge"],
        "com.docker.network.driver.mtu": str(network.spec["mtu"]),
    }


def members(network: str, pairs: Iterable[tuple[Object, Object | None]]) -> dict[str, Any]:
    """ "Containers" of a network: from its sandboxes, each with its container where it has one of its own."""
    shown = {}
    for sandbox, container in pairs:
        for one in sandbox.status["endpoints"]:
            if one["network"] == network:
                shown[sandbox.meta.name] = {
                    "Name": container.spec["name"] if container is not None else sandbox.spec["hostname"],
                    "EndpointID": endpoint_id(container if container is not None else sandbox, network),
                    "MacAddress": one["mac"],
                    "IPv4Address": f"{one['address']}/{one['prefix']}" if one["address"] else "",
                    "IPv6Address": f"{one['address6']}/{one['prefix6']}" if one["address6"] else "",
                }
    return shown


def _ipam(network: Object) -> list[dict[str, Any]] | None:
    spec = network.spec
    asked = (spec["details"].get("IPAM") or {}).get("Config") or []
    config = [dict(one) for one in asked]
    for subnet, gateway in ((spec["subnet"], spec["gateway"]), (spec["subnet6"], spec["gateway6"])):
        if not subnet:
            continue
        version = ip_network(subnet).version
        same = [one for one in config if ip_network(one["Subnet"]).version == version]
        if not same:
            config.append({"Subnet": subnet, "Gateway": gateway})
        for one in same:
            one.setdefault("Gateway", gateway)
    return config or None
