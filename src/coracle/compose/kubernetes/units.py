"""The services of a project as Kubernetes sees them: with names, ports, and which of them share a pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coracle.compose.kubernetes.fields import Fields
from coracle.compose.kubernetes.ports import Port, ports
from coracle.compose.kubernetes.setting import Setting


@dataclass
class Unit:
    """One service.  `name` is what it is called in Kubernetes."""

    service: str
    name: str
    fields: Fields
    deploy: Fields
    ports: list[Port]
    members: list[Unit] = field(default_factory=list)
    """Those whose `network_mode` puts them into this one's pod."""

    @property
    def together(self) -> list[Unit]:
        return [self, *self.members]

    @property
    def replicas(self) -> int:
        scale, replicas = self.fields.take("scale"), self.deploy.take("replicas")
        return int(scale if scale is not None else 1 if replicas is None else replicas)


def units(setting: Setting) -> list[Unit]:
    """A unit for each pod that the project is made of."""
    every = {
        name: _unit(name, given, setting)
        for name, given in setting.project.services.items()
        if not _elsewhere(name, given, setting)
    }
    hosts = {name: _host(name, setting.project.services) for name in every}
    for name, host in hosts.items():
        if host != name and host in every:
            every[host].members.append(every[name])
    return [unit for name, unit in every.items() if hosts[name] == name or hosts[name] not in every]


def _unit(name: str, given: dict[str, Any], setting: Setting) -> Unit:
    fields = Fields(given, ("services", name), setting.notes)
    return Unit(name, setting.names[name], fields, fields.part("deploy"), ports(fields, setting))


def _elsewhere(name: str, given: dict[str, Any], setting: Setting) -> bool:
    """Whether a provider runs it, so that there is nothing to run."""
    if given.get("provider"):
        setting.notes.warn(("services", name), "left out: its provider is run by Compose, outside any cluster")
    return bool(given.get("provider"))


def _host(name: str, services: dict[str, dict[str, Any]]) -> str:
    """The service whose pod `name` is in; the loader has refused cycles."""
    while (mode := str((services.get(name) or {}).get("network_mode") or "")).startswith("service:"):
        name = mode.removeprefix("service:")
    return name
