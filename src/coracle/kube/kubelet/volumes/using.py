"""Which of a pod's volumes its containers use (the others are not set up), and how mounts pass between them.  Pure.

Source: the kubelet's volume manager ("Volume is not used in the pod, ignore it").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.object import Object
from coracle.kube.kubelet.records import everyone


def used(pod: Object) -> set[str]:
    """The names of the volumes that any container mounts, has as a device or takes variables from."""
    return {name for container in everyone(pod) for name in used_by(container)}


def used_by(container: Mapping[str, Any]) -> Iterable[str]:
    for field in ("volumeMounts", "volumeDevices"):
        yield from (asked["name"] for asked in container.get(field) or ())
    for variable in container.get("env") or ():
        ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
        if ref:
            yield ref["volumeName"]


def propagation(pod: Object, name: str) -> set[str]:
    """How containers pass on, or want to see, what is mounted in the volume; empty where none does."""
    asked = (mount for one in everyone(pod) for mount in one.get("volumeMounts") or () if mount["name"] == name)
    return {mount["mountPropagation"] for mount in asked if mount.get("mountPropagation") not in (None, "None")}
