"""What a container is to be plugged into: from a request to what is kept, from what is kept to the engine.  Pure.

    read_networking     body of a create request -> details["NetworkingConfig"]
    read_endpoint       an EndpointSettings of a request -> as it is kept
    endpoints_of        details -> the engine's Endpoints, for a start

Kept, by name of network, with what is empty left out; no endpoint at all is no network at all:

    {"EndpointsConfig": {"n1": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}, "Aliases": ["web"], "GwPriority": 1}}}

Source: Docker Engine API, EndpointSettings; messages of moby daemon/container_operations.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from coracle.core.errors import Invalid, Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.bodies import Fields
from coracle.docker.networks import modes
from coracle.docker.networks.links import read_link
from coracle.engine.kinds.sandbox import Endpoint

Lookup = Callable[[str], Object]  # name, id or its beginning -> Network record; raises NotFound

_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.IGNORECASE)
IFNAME = "com.docker.network.endpoint.ifname"


def read_networking(networking: Fields, mode: str, mac: str, lookup: Lookup) -> dict[str, Any]:
    """`NetworkingConfig` of a create request, whole: with the network that `mode` names.

    `mode` is HostConfig.NetworkMode, `mac` Config.MacAddress, which means the mode's network.  A network need not be
    there before the start.  Raises: Malformed, Invalid.
    """
    mode = modes.normal(mode)
    asked = {modes.normal(name): one for name, one in networking.map("EndpointsConfig").items()}
    if not modes.is_network(mode):
        if asked.keys() - {mode}:
            said = "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            raise Invalid(message=said)
        _endpoint_at_create(Fields(asked.get(mode), f"NetworkingConfig.EndpointsConfig.{mode}"), mode, lookup)
        return {"EndpointsConfig": {} if modes.container_of(mode) else {mode: {}}}
    named: dict[str, Any] = {_name(mode, lookup): {}}
    named.update({_name(name, lookup): one for name, one in asked.items()})
    kept = {
        name: _endpoint_at_create(Fields(one, f"NetworkingConfig.EndpointsConfig.{name}"), name, lookup)
        for name, one in named.items()
    }
    _settle_mac(kept[_name(mode, lookup)], mac)
    return {"EndpointsConfig": kept}


def _endpoint_at_create(endpoint: Fields, name: str, lookup: Lookup) -> dict[str, Any]:
    """`read_endpoint`; its error names the network.  Raises Malformed, Invalid."""
    try:
        return read_endpoint(endpoint, name, lookup)
    except Invalid as error:
        raise Invalid(message=f"invalid config for network {name}: {error}") from error


def read_endpoint(endpoint: Fields, name: str, lookup: Lookup) -> dict[str, Any]:
    """One EndpointSettings for the network called `name`.  Raises Malformed, Invalid."""
    ipam, faults = endpoint.fields("IPAMConfig"), list[str]()
    kept: dict[str, Any] = {
        "IPAMConfig": {
            "IPv4Address": _address(ipam, "IPv4Address", "IPv4", faults),
            "IPv6Address": _address(ipam, "IPv6Address", "IPv6", faults),
        },
        "Links": [text for text in endpoint.texts("Links") if read_link(text)],
        "Aliases": list(dict.fromkeys(endpoint.texts("Aliases"))),
        "DriverOpts": endpoint.text_map("DriverOpts"),
        "GwPriority": endpoint.number("GwPriority"),
        "MacAddress": _mac(endpoint.text("MacAddress")),
    }
    kept["IPAMConfig"] = {field: text for field, text in kept["IPAMConfig"].items() if text}
    if not modes.is_own(name):
        if kept["IPAMConfig"]:
            faults.append("user specified IP address is supported on user defined networks only")
        if kept["Aliases"]:
            faults.append("network-scoped alias is supported only for containers in user defined networks")
    elif kept["IPAMConfig"]:
        faults += _out_of_range(kept["IPAMConfig"], name, lookup)
    if faults:
        raise Invalid(message="invalid endpoint settings:\n" + "\n".join(faults))
    return {field: value for field, value in kept.items() if value}


def endpoints_of(details: Mapping[str, Any], lookup: Lookup) -> tuple[Endpoint, ...]:
    """What a container with these details is plugged into at its start.

    () with the host's network, another container's, or none.  Raises NotFound: a network has gone.
    """
    mode = modes.normal((details.get("HostConfig") or {}).get("NetworkMode") or "")
    if modes.is_shared(mode) or (details.get("Config") or {}).get("NetworkDisabled"):
        return ()
    kept = (details.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    return tuple(endpoint_of(name, one or {}, lookup) for name, one in sorted(kept.items()) if name != modes.NONE)


def endpoint_of(name: str, kept: Mapping[str, Any], lookup: Lookup) -> Endpoint:
    """One kept endpoint for the engine.  Raises NotFound."""
    ipam = kept.get("IPAMConfig") or {}
    return Endpoint(
        network=lookup(name).spec["name"],
        address=ipam.get("IPv4Address", ""),
        address6=ipam.get("IPv6Address", ""),
        mac=kept.get("MacAddress", ""),
        interface=(kept.get("DriverOpts") or {}).get(IFNAME, ""),
        priority=kept.get("GwPriority", 0),
        aliases=tuple(kept.get("Aliases") or ()),
    )


def _name(network: str, lookup: Lookup) -> str:
    """A network's name, by which its endpoint is kept; the word itself where it is not there yet."""
    try:
        return str(lookup(network).spec["name"])
    except NotFound:
        return network


def _settle_mac(endpoint: dict[str, Any], mac: str) -> None:
    """Raises Malformed, Invalid (two that differ)."""
    if not mac:
        return
    if endpoint.get("MacAddress", _mac(mac)) != _mac(mac):
        said = "the container-wide MAC address must match the endpoint-specific MAC address for the main network"
        raise Invalid(message=f"{said}, or should be left empty")
    endpoint["MacAddress"] = _mac(mac)


def _address(ipam: Fields, field: str, family: str, faults: list[str]) -> str:
    text = ipam.text(field)
    if not text:
        return ""
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or f"IPv{address.version}" != family:
        faults.append(f"invalid {family} address: {text[:60]}")
        return ""
    return str(address)


def _mac(text: str) -> str:
    """Raises Malformed."""
    if text and not _MAC.fullmatch(text):
        raise Malformed(f"invalid MAC address {text[:40]}")
    return text.lower().replace("-", ":")


def _out_of_range(ipam: Mapping[str, str], name: str, lookup: Lookup) -> list[str]:
    """Why fixed addresses cannot be had: not of a subnet that the user chose."""
    try:
        config = (lookup(name).spec["details"].get("IPAM") or {}).get("Config") or ()
    except NotFound:
        return []  # to be seen at the start
    chosen = [ip_network(one["Subnet"]) for one in config]
    faults = []
    for address in map(ip_address, ipam.values()):
        same = [subnet for subnet in chosen if subnet.version == address.version]
        if not same:
            faults.append(
                "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
        elif not any(address in subnet for subnet in same):
            faults.append(f"no configured subnet or ip-range contain the IP address {address}")
    return faults
