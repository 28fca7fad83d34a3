"""A service's ports: those that it publishes, and those that only its like may reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.kubernetes.names import is_port_name
from coracle.compose.kubernetes.setting import Setting


@dataclass(frozen=True)
class Port:
    target: int
    protocol: str = "TCP"
    published: int = 0
    """The port of the machine; 0 where there is none."""
    host_ip: str = ""
    anywhere: bool = False
    """Published at a port that the cluster chooses."""
    given_name: str = ""
    app_protocol: str = ""

    @property
    def name(self) -> str:
        return self.given_name or self.regular_name

    @property
    def regular_name(self) -> str:
        return f"{self.protocol.lower()}-{self.target}"


def ports(service: Fields, setting: Setting) -> list[Port]:
    """What `ports` and `expose` say, each port of the container and the machine once."""
    found = [_published(entry, setting) for entry in service.parts("ports")]
    if service.take("network_mode") == "host" and any(port.published or port.anywhere for port in found):
        service.warn("ports", "published ports are discarded when using host network mode")
        found = [replace(port, published=0, anywhere=False) for port in found]
    known = {(port.target, port.protocol) for port in found}
    for entry in service.take("expose", ()):
        first, last, protocol = _range(str(entry))
        for target in range(first, last + 1):
            if (target, protocol) not in known:
                known.add((target, protocol))
                found.append(Port(target, protocol))
    return found


def of_container(given: list[Port], setting: Setting) -> list[dict[str, Any]]:
    """A container's `ports`: with a port of the machine where that is how they are published."""
    on_host = setting.options.publish == "host"
    found = []
    for port in given:
        host = port.published if on_host else 0
        entry = compact(
            containerPort=port.target,
            protocol=port.protocol,
            hostPort=host or None,
            hostIP=(port.host_ip if host else "") or None,
        )
        if entry not in found:
            found.append(entry)
    return found


def of_service(given: list[Port]) -> list[dict[str, Any]]:
    """A Service's `ports`: others of the project reach the container at its own ports, as in Compose."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for port in given:
        taken = {entry["name"] for entry in found.values()}
        entry = compact(
            name=port.name if port.name not in taken else port.regular_name,
            port=port.target,
            targetPort=port.target,
            protocol=port.protocol,
            appProtocol=port.app_protocol,
        )
        found.setdefault((port.target, port.protocol), entry)
    return list(found.values())


def _published(entry: Fields, setting: Setting) -> Port:
    published, protocol = str(entry.take("published", "")), str(entry.take("protocol", "tcp")).upper()
    host_ip, name = entry.take("host_ip", ""), entry.take("name", "")
    low, dash, _ = published.partition("-")
    if dash:
        entry.warn("published", f"a pod cannot choose from {published}: {low} is taken")
    if name and not is_port_name(name):
        entry.warn("name", f"{name} is no name of a port: 15 small letters, digits and hyphens at most")
        name = ""
    if host_ip and setting.options.publish != "host":
        entry.warn("host_ip", "an address can be chosen for ports of the pod's machine only")
    number, anywhere = int(low or 0), published in ("", "0")
    return Port(entry.take("target"), protocol, number, host_ip, anywhere, name, entry.take("app_protocol", ""))


def _range(text: str) -> tuple[int, int, str]:
    span, _, protocol = text.partition("/")
    first, _, last = span.partition("-")
    return int(first), int(last or first), (protocol or "tcp").upper()
