"""What a container mounts where, from its pod's volumes.

Source: Kubernetes v1 API, VolumeMount; documentation, "Volumes": subPath, mount propagation, recursive read-only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from coracle.core.errors import CloudError
from coracle.core.object import Object
from coracle.kube.kubelet.environment import ConfigError, expand_strictly
from coracle.kube.kubelet.volumes.service import PodVolumes, Volume
from coracle.runtime.api import Device, Mount

_PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


async def mounts(
    pod: Object,
    container: Mapping[str, Any],
    volumes: Mapping[str, Volume],
    known: Mapping[str, str],
    service: PodVolumes,
) -> tuple[Mount, ...]:
    """The container's mounts; `known` are its variables, for subPathExpr.  Raises ConfigError."""
    found = []
    for number, asked in enumerate(container.get("volumeMounts") or ()):
        volume = volumes.get(asked["name"])
        if volume is None:
            raise ConfigError(f'cannot find volume "{asked["name"]}" to mount into container "{container["name"]}"')
        source, below = volume.path, _below(asked, known)
        if below:
            with _told(asked["name"], container["name"]):
                source = await service.part(pod, f"{container['name']}.{number}", volume, below)
        found.append(_mount(asked, replace(volume, path=source)))
    return tuple(found)


def devices(container: Mapping[str, Any], volumes: Mapping[str, Volume]) -> tuple[Device, ...]:
    """The block devices that the container gets.  Raises ConfigError."""
    found = []
    for asked in container.get("volumeDevices") or ():
        volume = volumes.get(asked["name"])
        if volume is None or not volume.device:
            raise ConfigError(f'cannot find volume "{asked["name"]}" to map into container "{container["name"]}"')
        access = "rm" if volume.read_only else "rwm"
        found.append(Device(path=asked["devicePath"], source=volume.path, access=access))
    return tuple(found)


def _below(asked: Mapping[str, Any], known: Mapping[str, str]) -> str:
    if asked.get("subPathExpr"):
        below = expand_strictly(asked["subPathExpr"], known)
        if below.startswith("/"):
            raise ConfigError(f"error SubPath `{below}` must not be an absolute path")
        if ".." in below.split("/"):
            raise ConfigError(f"unable to provision SubPath `{below}`: must not contain '..'")
        return below
    return str(asked.get("subPath") or "")


@contextmanager
def _told(volume: str, container: str) -> Iterator[None]:
    """Failures in the kubelet's words, and why."""
    try:
        yield
    except CloudError as error:
        said = f'failed to prepare subPath for volumeMount "{volume}" of container "{container}"'
        raise ConfigError(f"{said}: {error}") from error


def _mount(asked: Mapping[str, Any], volume: Volume) -> Mount:
    target, read_only = asked["mountPath"], volume.read_only or bool(asked.get("readOnly"))
    recursive = ("rro",) if read_only and asked.get("recursiveReadOnly") in ("Enabled", "IfPossible") else ()
    return Mount(
        target=target if target.startswith("/") else f"/{target}",
        source=volume.path,
        options=("rbind", _PROPAGATION[asked.get("mountPropagation") or "None"], *recursive, *volume.options),
        read_only=read_only,
        mapped=volume.mapped,
    )
