"""Named volumes as claims, and what the machine has of its own.

Source: Kubernetes documentation, "Persistent Volumes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.compose.kubernetes.amounts import memory
from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.kubernetes.names import label
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.units import size_bytes


def source_of(key: str, entry: Fields, setting: Setting) -> dict[str, Any]:
    """The pod's volume for the named volume `key`, which `entry` mounts."""
    volume = (setting.project.model.get("volumes") or {}).get(key) or {}
    options = volume.get("driver_opts") or {}
    if not _is_local(volume):
        return {"persistentVolumeClaim": {"claimName": setting.label_of(key, volume)}}
    match options.get("type"), options.get("device"):
        case "nfs" | "nfs4", str(device):
            server = dict(pair.partition("=")[::2] for pair in options.get("o", "").split(",")).get("addr", "")
            return {"nfs": {"server": server, "path": device.removeprefix(":")}}
        case "tmpfs", _:
            size = dict(pair.partition("=")[::2] for pair in options.get("o", "").split(",")).get("size")
            return {"emptyDir": compact(medium="Memory", sizeLimit=memory(size_bytes(size)) if size else None)}
    entry.warn("source", f"{options['device']} is of the pod's machine: right only where the pod runs here")
    return {"hostPath": {"path": options["device"], "type": "Directory"}}


def claims(setting: Setting) -> list[dict[str, Any]]:
    """A PersistentVolumeClaim for each named volume that the project makes."""
    found = []
    for key, given in (setting.project.model.get("volumes") or {}).items():
        volume = Fields(given, ("volumes", key), setting.notes)
        external, name = volume.take("external"), volume.take("name")
        labels, driver = volume.take("labels", {}), volume.take("driver", "local")
        if external:
            volume.warn("external", f"a PersistentVolumeClaim {label(name)} must be there")
        elif not _is_local(volume.given):
            if driver != "local" or volume.given.get("driver_opts"):
                volume.warn("driver", "the cluster's default StorageClass makes the volume")
            _sharing(key, volume, setting)
            found.append(_claim(setting.label_of(key, volume.given), labels, setting))
        volume.finish()
    return found


def _claim(name: str, labels: dict[str, str], setting: Setting) -> dict[str, Any]:
    size = {"requests": {"storage": setting.options.volume_size}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": compact(name=name, annotations=labels),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": size},
    }


def _sharing(key: str, volume: Fields, setting: Setting) -> None:
    users = []
    for name, service in setting.project.services.items():
        if any(mount.get("source") == key for mount in service.get("volumes") or () if mount["type"] == "volume"):
            users += [name] * (
                2 if (service.get("scale") or (service.get("deploy") or {}).get("replicas") or 1) > 1 else 1
            )
    if len(users) > 1:
        who = ", ".join(dict.fromkeys(users))
        volume.warn("", f"several pods share it ({who}): on several nodes that needs a class with ReadWriteMany")


def _is_local(volume: Mapping[str, Any]) -> bool:
    """Whether it says itself where the files are: a directory, memory, a file server."""
    options = volume.get("driver_opts") or {}
    if volume.get("external") or volume.get("driver", "local") != "local":
        return False
    bound = "bind" in str(options.get("o", "")).split(",") or options.get("type") in ("nfs", "nfs4")
    return options.get("type") == "tmpfs" or bool(bound and options.get("device"))
