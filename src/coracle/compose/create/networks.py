"""A network of the file -> the body of POST /networks/create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.compose.create.bodies import digest, without_empty
from coracle.compose.create.labels import COMPOSE, HASH, NETWORK, PROJECT, VERSION

_POOL = {"subnet": "Subnet", "ip_range": "IPRange", "gateway": "Gateway", "aux_addresses": "AuxiliaryAddresses"}


def network_body(model: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """None: the network is external, it has to be there."""
    network = (model.get("networks") or {})[key]
    if network.get("external"):
        return None
    own = {PROJECT: model["name"], NETWORK: key, VERSION: COMPOSE, HASH: digest(network)}
    body: dict[str, Any] = {
        "Name": network["name"],
        "Driver": network.get("driver"),
        "Options": network.get("driver_opts"),
        "Internal": network.get("internal"),
        "Attachable": network.get("attachable"),
        "EnableIPv6": network.get("enable_ipv6"),
        "IPAM": _ipam(network.get("ipam") or {}),
        "Labels": {**(network.get("labels") or {}), **own},
    }
    body = without_empty(body)
    return body if network.get("enable_ipv4") is None else {**body, "EnableIPv4": network["enable_ipv4"]}


def _ipam(ipam: Mapping[str, Any]) -> dict[str, Any]:
    pools = [
        {_POOL[field]: value for field, value in pool.items() if field in _POOL} for pool in ipam.get("config") or ()
    ]
    return without_empty({"Driver": ipam.get("driver"), "Options": ipam.get("options"), "Config": pools})
