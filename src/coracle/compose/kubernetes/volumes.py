"""What a container mounts: claims, directories of the machine, memory, images.

Source: Kubernetes documentation, "Volumes".
"""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass, field
from typing import Any

from coracle.compose.kubernetes.amounts import memory
from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.kubernetes.filling import fill
from coracle.compose.kubernetes.names import free, label
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.kubernetes.storage import source_of
from coracle.compose.units import size_bytes

_SORTS = {"file": "File", "other": ""}  # a socket, a device: whatever is there
_SHARED, _FOLLOWING = ("rshared", "shared"), ("rslave", "slave")


@dataclass
class Volumes:
    """The volumes of one pod, each named once, and the init containers that fill them."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)

    def name_of(self, source: dict[str, Any], hint: str) -> str:
        """The name of the volume with this source, added where it is new; what is empty is new every time."""
        for name, known in self.known.items():
            if known == source and "emptyDir" not in source:
                return name
        name = free(label(hint), set(self.known))
        self.known[name] = source
        return name

    def as_list(self) -> list[dict[str, Any]]:
        return [{"name": name, **source} for name, source in self.known.items()]

    def is_new(self, name: str) -> bool:
        """Whether the cluster makes this volume, empty."""
        return not {"persistentVolumeClaim", "emptyDir"}.isdisjoint(self.known[name])


def mounts(service: Fields, volumes: Volumes, setting: Setting) -> list[dict[str, Any]]:
    """The container's `volumeMounts`; their volumes are added to `volumes`."""
    found: dict[str, dict[str, Any]] = {}
    for entry in [*service.parts("volumes"), *_borrowed(service, setting)]:
        if mount := _mount(entry, volumes, setting, privileged=bool(service.take("privileged"))):
            found.setdefault(mount["mountPath"], mount)
            if entry.given["type"] == "volume" and entry.path[1] == service.name and volumes.is_new(mount["name"]):
                volumes.fills += fill(service, entry, mount, setting, {one["name"] for one in volumes.fills})
    for entry in service.take("tmpfs", ()):
        path, _, options = entry.partition(":")
        source = _memory(_tmpfs_size(service, options))
        found[path] = {"name": volumes.name_of(source, path), "mountPath": path}
    shared = int(service.take("shm_size", 0))
    if shared > 0:
        source = _memory(shared)
        found.setdefault("/dev/shm", {"name": volumes.name_of(source, "shm"), "mountPath": "/dev/shm"})  # noqa: S108
    return list(found.values())


def _mount(entry: Fields, volumes: Volumes, setting: Setting, *, privileged: bool) -> dict[str, Any] | None:
    target, source = os.path.normpath(entry.take("target")), entry.take("source", "")
    read_only = entry.take("read_only") or None
    more: dict[str, Any] = {}
    match entry.take("type"):
        case "volume":
            more = compact(subPath=entry.part("volume").take("subpath"))
            volume, hint = source_of(source, entry, setting) if source else {"emptyDir": {}}, source or target
        case "bind":
            volume, hint = _host_path(source, entry, setting), os.path.basename(target)
            more = compact(mountPropagation=_propagation(entry.part("bind"), privileged=privileged))
        case "tmpfs":
            volume, hint = _memory(int(entry.part("tmpfs").take("size", 0))), target
        case "image":
            volume, hint = {"image": {"reference": source, "pullPolicy": "IfNotPresent"}}, target
            more = compact(subPath=entry.part("image").take("subpath"))
            entry.warn("", "an image as a volume needs Kubernetes 1.33 or later")
        case other:
            entry.warn("type", f"there are no {other} volumes in Kubernetes")
            return None
    return {"name": volumes.name_of(volume, hint), "mountPath": target, **compact(readOnly=read_only), **more}


def _propagation(bind: Fields, *, privileged: bool) -> str | None:
    asked = bind.take("propagation")
    if asked in _SHARED and not privileged:
        bind.warn("propagation", "only what a privileged container mounts is seen outside")
    if asked in _SHARED and privileged:
        return "Bidirectional"
    return "HostToContainer" if asked in (*_SHARED, *_FOLLOWING) else None


def _host_path(source: str, entry: Fields, setting: Setting) -> dict[str, Any]:
    made = entry.part("bind").take("create_host_path", True)
    sort = _SORTS.get(setting.machine.sort_of(source), "DirectoryOrCreate" if made else "Directory")
    entry.warn("source", f"{source} is of the pod's machine: right only where the pod runs here")
    return {"hostPath": compact(path=source, type=sort)}


def _memory(amount_bytes: int) -> dict[str, Any]:
    limit = memory(amount_bytes) if amount_bytes > 0 else None
    return {"emptyDir": compact(medium="Memory", sizeLimit=limit)}


def _tmpfs_size(service: Fields, options: str) -> int:
    size = 0
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name == "size" and re.fullmatch(r"\d+[kKmMgG]?", value):
            size = size_bytes(value)
        elif name not in ("rw", "noexec", "nosuid", "nodev"):
            service.warn("tmpfs", f"{option}: an emptyDir has mode 0777 and no options")
    return size


def _borrowed(service: Fields, setting: Setting) -> list[Fields]:
    """What `volumes_from` brings: the other service's mounts, but for those that nothing outside its pod can reach."""
    found = []
    for entry in service.take("volumes_from", ()):
        name, _, mode = entry.partition(":")
        other = setting.project.services.get(name)
        if other is None:
            service.warn("volumes_from", f"{entry}: containers outside the project are not in the cluster")
            continue
        for at, mount in enumerate(other.get("volumes") or ()):
            if mount["type"] in ("tmpfs",) or (mount["type"] == "volume" and not mount.get("source")):
                service.warn("volumes_from", f"{mount['target']} of {name} is its pod's own: give the volume a name")
                continue
            given = {**mount, "read_only": True} if mode == "ro" else mount
            found.append(Fields(given, ("services", name, "volumes", at), setting.notes, "services.volumes"))
    return found
