"""What a conversion is about, and how it is to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from coracle.compose.kubernetes.fields import Notes
from coracle.compose.kubernetes.names import label, label_value, object_name
from coracle.compose.project import Project
from coracle.core.errors import CloudError, Malformed, NotFound

Controller = Literal["deployment", "replicationcontroller", "daemonset"]
Sort = Literal["file", "directory", "other", "none"]
Publishing = Literal["host", "node", "balancer", "none"]
"""How published ports are reached: a port of the pod's machine, of every node, or of a load balancer."""


@dataclass(frozen=True)
class Options:
    namespace: str = ""
    controller: Controller = "deployment"
    publish: Publishing = "host"
    volume_size: str = "1Gi"
    fill_volumes: bool = False


class Machine(Protocol):
    """The files that a project speaks of."""

    def read(self, path: str) -> bytes:
        """A file's content.  Raises NotFound, Malformed."""
        ...

    def sort_of(self, path: str) -> Sort: ...


class ThisMachine:
    """Reads no more of a file than a ConfigMap can hold, and one byte."""

    limit_bytes = (1 << 20) + 1

    def read(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read(self.limit_bytes)
        except FileNotFoundError as error:
            raise NotFound(f"open {path}: no such file or directory") from error
        except OSError as error:
            raise Malformed(f"open {path}: {(error.strerror or str(error)).lower()}") from error

    def sort_of(self, path: str) -> Sort:
        found = Path(path)
        return "file" if found.is_file() else "directory" if found.is_dir() else "other" if found.exists() else "none"


@dataclass(frozen=True)
class Setting:
    project: Project
    options: Options
    machine: Machine
    notes: Notes
    names: dict[str, str] = field(default_factory=dict)
    """The Kubernetes name of each service."""

    def label_of(self, key: str, given: Mapping[str, Any]) -> str:
        """The name of the volume, config or secret `key`: without the project's, which the namespace stands for."""
        name = given.get("name") or key
        return label(key if name == f"{self.project.name}_{key}" else name)

    def labels(self, name: str) -> dict[str, str]:
        """The labels by which the pods of the service with this Kubernetes name are known."""
        return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": label_value(self.project.name) or "x"}


def with_names(setting: Setting) -> Setting:
    """Raises Malformed where two services would have one name."""
    holders: dict[str, str] = {}
    for service in setting.project.services:
        name = object_name(service)
        first = holders.setdefault(name, service)
        if first != service:
            raise _fault(setting, service, f"would be called {name} in Kubernetes, as {first} is")
        if name != service:
            setting.notes.warn(("services", service), f"is called {name}: Kubernetes takes no such name; others too")
        setting.names[service] = name
    return setting


def _fault(setting: Setting, service: str, text: str) -> CloudError:
    return setting.project.places.fault(("services", service), f"services.{service} {text}")
