"""Published ports in Docker's words: read from a request, chosen, shown.  Pure.

    ExposedPorts  {"80/tcp": {}}
    PortBindings  {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}]}     "" chooses; "8000-8010": one of these

Source: Docker Engine API, PortMap; messages of moby runconfig and go-connections/nat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.net.api import Transport

_PROTOCOLS = ("tcp", "udp", "sctp")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
PORTS_AT_MOST = 65535


@dataclass(frozen=True, slots=True, order=True)
class Wish:
    """A port of the container, and where on the host it is wanted.

    host     None: all addresses; 0.0.0.0 or ::, all of one family
    first, last   0: any port; equal: this port; else one of these
    """

    port: int
    protocol: str
    host: IPv4Address | IPv6Address | None
    first: int
    last: int

    @property
    def key(self) -> str:
        return f"{self.port}/{self.protocol}"

    @property
    def transport(self) -> Transport:
        return self.protocol.upper()  # type: ignore[return-value]  # one of _PROTOCOLS

    @property
    def is_open(self) -> bool:
        """Whether we choose the port."""
        return self.first != self.last or not self.first


def read_exposed(ports: Mapping[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """`ExposedPorts` as it is kept.  Raises Malformed."""
    return {key: {} for name in ports for key in _keys(name, path)}


def read_bindings(ports: Mapping[str, Any], path: str) -> dict[str, list[dict[str, str]]]:
    """`PortBindings` as it is kept.  Raises Malformed naming the port."""
    kept: dict[str, list[dict[str, str]]] = {}
    for name, bindings in ports.items():
        one = Fields({name: bindings}, path)
        for key in _keys(name, path):
            kept[key] = [_binding(binding, name) for binding in one.objects(name)]
    return kept


def wishes(details: Mapping[str, Any]) -> list[Wish]:
    """What a container with these details wants published, in order of its ports."""
    host_config, config = details.get("HostConfig") or {}, details.get("Config") or {}
    bindings = host_config.get("PortBindings") or {}
    found = [_wish(key, binding) for key, those in bindings.items() for binding in those or ()]
    if host_config.get("PublishAllPorts"):
        found += [_wish(key, {}) for key in config.get("ExposedPorts") or {} if not bindings.get(key)]
    return sorted(found, key=lambda wish: (wish.protocol, wish.port))


def exposed(details: Mapping[str, Any]) -> Iterator[str]:
    """Every port the container is known to have: "80/tcp"."""
    yield from (details.get("Config") or {}).get("ExposedPorts") or {}
    yield from (details.get("HostConfig") or {}).get("PortBindings") or {}


def shown(details: Mapping[str, Any], bound: Iterable[tuple[Wish, int]]) -> dict[str, list[dict[str, str]] | None]:
    """NetworkSettings.Ports: the bound ports (their hosts are known), and None for those that are only exposed."""
    ports: dict[str, list[dict[str, str]] | None] = dict.fromkeys(exposed(details))
    for wish, number in bound:
        ports[wish.key] = [*(ports.get(wish.key) or ()), {"HostIp": str(wish.host), "HostPort": str(number)}]
    return ports


def _keys(name: str, path: str) -> Iterator[str]:
    """ "80" -> 80/tcp; "80-81/udp" -> 80/udp, 81/udp.  Raises Malformed."""
    numbers, _, protocol = name.partition("/")
    protocol = protocol.lower() or "tcp"
    first, last = _range(numbers, f"{path}: invalid port specification: {_quoted(name)}")
    if protocol not in _PROTOCOLS:
        raise Malformed(f"{path}: invalid port specification: {_quoted(name)}: invalid proto: {protocol[:20]}")
    if not first:
        raise Malformed(f"{path}: invalid port specification: {_quoted(name)}")
    return (f"{number}/{protocol}" for number in range(first, last + 1))


def _binding(binding: Fields, name: str) -> dict[str, str]:
    host, port = binding.text("HostIp"), binding.text("HostPort")
    if host:
        try:
            host = str(ip_address(host.strip("[]")))
        except ValueError as error:
            raise Malformed(f"invalid HostIp {_quoted(host)} of port {name[:40]}") from error
    if port:
        _range(port, f"invalid port specification: {_quoted(port)}")
    return {"HostIp": host, "HostPort": port}


def _wish(key: str, binding: Mapping[str, str]) -> Wish:
    number, _, protocol = key.partition("/")
    host, port = binding.get("HostIp") or "", binding.get("HostPort") or ""
    first, last = _range(port, port) if port else (0, 0)
    return Wish(int(number), protocol, ip_address(host) if host else None, first, last)


def _range(text: str, said: str) -> tuple[int, int]:
    """Raises Malformed with `said`."""
    found = _RANGE.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last <= PORTS_AT_MOST:
        raise Malformed(said)
    return first, last


def _quoted(text: str) -> str:
    return f'"{text[:40]}"'
