"""POST /networks/create: from its body to what the engine makes.  Pure.

What the user gave is kept in the record's details, what was left open is in its spec:

    {"Driver": .., "Options": {..}, "IPAM": {"Driver": .., "Options": {..}, "Config": [..]}, "Attachable": ..}

Source: Docker Engine API, NetworkCreate; documentation of the bridge driver's options; messages of libnetwork.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any

from coracle.core.errors import Forbidden, Malformed, NotFound
from coracle.docker.bodies import Fields
from coracle.engine import subnets
from coracle.engine.networks import NetworkSpec
from coracle.net.addresses import Subnet

PREDEFINED = ("bridge", "host", "none", "default")
BINDING = "com.docker.network.bridge.host_binding_ipv4"
_NAME = "com.docker.network.bridge.name"
_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
_ICC = "com.docker.network.bridge.enable_icc"
_MTU = "com.docker.network.driver.mtu"
_MODES = ("com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6")
_LINK = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,14}")
_LONGEST_NAME = 255
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


def read_create(body: Fields) -> NetworkSpec:
    """Raises Malformed, Forbidden, NotFound (a driver that is not here)."""
    name = _name(body.text("Name"))
    driver = body.text("Driver") or "bridge"
    _check_driver(driver)
    _check_swarm(body)
    ipam, options = body.fields("IPAM"), body.text_map("Options")
    if (ipam.text("Driver") or "default") != "default":
        raise NotFound(f'plugin "{ipam.text("Driver")[:60]}" not found', kind="Plugin")
    if body.optional_flag("EnableIPv4") is False:
        raise Malformed("IPv4 cannot be disabled: every network has an IPv4 subnet here")
    spec = NetworkSpec(
        name=name,
        ipv6=body.flag("EnableIPv6"),
        internal=body.flag("Internal"),
        labels=body.text_map("Labels"),
        made_by="docker",
        details={
            "Driver": driver,
            "Options": options,
            "IPAM": {
                "Driver": "default",
                "Options": ipam.text_map("Options"),
                "Config": [_kept(config) for config in ipam.objects("Config")],
            },
            "Attachable": body.flag("Attachable"),
        },
    )
    return with_options(with_subnets(spec), options)


def with_subnets(spec: NetworkSpec) -> NetworkSpec:
    """With the subnets of its IPAM config.  Raises Malformed, all faults in one."""
    faults: list[str] = []
    for config in spec.details["IPAM"]["Config"]:
        found = _read_config(config, faults)
        if found is None or (found.subnet.version == 6 and not spec.ipv6):
            continue
        if spec.subnet6 if found.subnet.version == 6 else spec.subnet:
            raise Malformed("bridge driver doesn't support multiple subnets")
        held = tuple(address for address in (*spec.reserved, *found.reserved))
        if found.subnet.version == 6:
            spec = replace(spec, subnet6=str(found.subnet), gateway6=found.gateway, range6=found.range, reserved=held)
        else:
            spec = replace(spec, subnet=str(found.subnet), gateway=found.gateway, range=found.range, reserved=held)
    if faults:
        raise Malformed("invalid network config:\n" + "\n".join(faults))
    return spec


def with_options(spec: NetworkSpec, options: Mapping[str, str]) -> NetworkSpec:
    """With what the bridge driver's options say; options that we do not know are kept, and change nothing."""
    for name in _MODES:
        if options.get(name, "nat") not in ("", "nat"):
            raise Malformed(f"{name}: only nat is supported, not {options[name][:40]}")
    if options.get(BINDING):
        _check_address(options[BINDING])
    return replace(
        spec,
        bridge=_link(options.get(_NAME, "")),
        mtu=_mtu(options.get(_MTU, ""), 1280 if spec.ipv6 else 68),
        icc=_flag(options, _ICC),
        masquerade=_flag(options, _MASQUERADE),
    )


@dataclass(frozen=True, slots=True)
class _Config:
    """One IPAMConfig that has been read."""

    subnet: Subnet
    gateway: str
    range: str
    reserved: Sequence[str]


def _read_config(config: Mapping[str, Any], faults: list[str]) -> _Config | None:
    def read(how: Callable[[], object]) -> str:
        try:
            return str(how())
        except Malformed as error:
            faults.append(error.message)
            return ""

    try:
        subnet = subnets.read_subnet(config.get("Subnet", ""))
    except Malformed as error:
        faults.append(error.message)
        return None
    part, gateway = config.get("IPRange", ""), config.get("Gateway", "")
    reserved = config.get("AuxiliaryAddresses", {})
    return _Config(
        subnet,
        read(lambda: subnets.read_member(gateway, subnet, f"gateway {gateway}")) if gateway else "",
        read(lambda: subnets.read_range(part, subnet)) if part else "",
        [
            read(lambda a=address, n=name: subnets.read_member(a, subnet, f"auxiliary address {n}"))  # type: ignore[misc]
            for name, address in reserved.items()
        ],
    )


def _kept(config: Fields) -> dict[str, Any]:
    kept: dict[str, Any] = {name: config.text(name) for name in ("Subnet", "IPRange", "Gateway")}
    kept["AuxiliaryAddresses"] = config.text_map("AuxiliaryAddresses")
    return {name: value for name, value in kept.items() if value}


def _name(name: str) -> str:
    if not name.strip():
        raise Malformed("invalid name: name is empty")
    if len(name) > _LONGEST_NAME or any(not sign.isprintable() for sign in name) or "/" in name:
        raise Malformed(f"invalid name {name[:40]!r}: at most {_LONGEST_NAME} printable characters, no /")
    if name in PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {name} network ")
    return name


def _check_driver(driver: str) -> None:
    if driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver == "overlay":
        raise Forbidden(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
            "to swarm and try again."
        )
    if driver != "bridge":
        raise NotFound(f'plugin "{driver[:60]}" not found', kind="Plugin", name=driver[:60])


def _check_swarm(body: Fields) -> None:
    """What only a swarm has."""
    if body.text("Scope") not in ("", "local"):
        raise Malformed(f"scope {body.text('Scope')[:20]!r} is not supported: this node is not a swarm manager")
    if body.flag("Ingress"):
        raise Forbidden("ingress network cannot be created: this node is not a swarm manager")
    if body.flag("ConfigOnly") or body.fields("ConfigFrom").text("Network"):
        raise Malformed("configuration-only networks are not supported")


def _flag(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "true").lower()
    if text not in (*_TRUE, *_FALSE):
        raise Malformed(f'failed to parse {name} value: "{text[:20]}" is not a boolean')
    return text in _TRUE


def _mtu(text: str, least: int) -> int:
    if not text:
        return 1500
    if not text.isdecimal() or not least <= int(text) <= 65535:
        raise Malformed(f'failed to parse {_MTU} value: "{text[:20]}" is not a number from {least} to 65535')
    return int(text)


def _link(name: str) -> str:
    if name and (not _LINK.fullmatch(name) or name in (".", "..")):
        raise Malformed(f'invalid {_NAME}: "{name[:40]}" is not a name for a link (at most 15 of [a-zA-Z0-9_.-])')
    return name


def _check_address(text: str) -> None:
    try:
        IPv4Address(text)
    except ValueError as error:
        raise Malformed(f'failed to parse {BINDING} value: "{text[:40]}" is not an IPv4 address') from error
