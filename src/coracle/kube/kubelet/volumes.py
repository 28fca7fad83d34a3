"""A pod's volumes: directories that its containers mount.  emptyDir and hostPath so far.

Source: Kubernetes documentation, "Volumes".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from coracle.core.errors import CloudError, Unsupported
from coracle.core.object import Object
from coracle.core.quantity import parse
from coracle.core.tasks import offload
from coracle.engine.scratch import Scratch
from coracle.kube.kubelet.environment import ConfigError, expand
from coracle.kube.kubelet.records import sandbox_name
from coracle.runtime.api import Mount

_PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


class MountFailed(CloudError):
    """A volume of the pod cannot be set up; tried again."""


class PodVolumes:
    """Sets up and drops the volumes of pods."""

    def __init__(self, directories: Scratch) -> None:
        self._directories = directories

    async def prepare(self, pod: Object) -> dict[str, str]:
        """Where each volume of the pod is on the host.  Idempotent.  Raises MountFailed."""
        paths = {}
        for volume in pod.spec.get("volumes") or ():
            try:
                paths[volume["name"]] = await self._one(pod, volume)
            except (CloudError, OSError) as error:
                said = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                raise MountFailed(said, kind="Pod", name=pod.meta.name) from error
        return paths

    async def drop(self, owner: str) -> None:
        """Remove what was made for a pod; `owner` is its sandbox's name.  Idempotent."""
        await self._directories.drop_scratch(owner)

    async def owners(self) -> list[str]:
        """The sandboxes' names for which there are volumes."""
        return [owner for owner in await self._directories.owners() if owner.startswith(sandbox_name(""))]

    async def _one(self, pod: Object, volume: Mapping[str, Any]) -> str:
        if "emptyDir" in volume:
            return await self._empty(pod, volume)
        if "hostPath" in volume:
            asked = volume["hostPath"]
            return await self._directories.host_path(asked["path"], asked.get("type") or "")
        sort = next((name for name in volume if name != "name"), "none")
        raise Unsupported(f"volumes of type {sort} are not supported yet", status=501)

    async def _empty(self, pod: Object, volume: Mapping[str, Any]) -> str:
        asked = volume["emptyDir"] or {}
        limit = parse(asked["sizeLimit"]).whole if asked.get("sizeLimit") else None
        owner = sandbox_name(pod.meta.uid)
        medium = asked.get("medium") or ""
        path = await self._directories.scratch(owner, volume["name"], medium=medium, size_bytes=limit)
        gid = (pod.spec.get("securityContext") or {}).get("fsGroup")
        if gid is not None:
            await offload(_give_to_group, path, gid)
        return path


def _give_to_group(path: str, gid: int) -> None:
    """fsGroup: the group owns the directory and what is made in it."""
    os.chown(path, -1, gid)
    os.chmod(path, 0o2777)  # noqa: S103 - emptyDir is everybody's, as in Kubernetes


def mounts(container: Mapping[str, Any], paths: Mapping[str, str], known: Mapping[str, str]) -> tuple[Mount, ...]:
    """What `container` mounts where, from the pod's volumes at `paths`.  Makes subPaths.  Raises ConfigError."""
    return tuple(_mount(asked, paths, known) for asked in container.get("volumeMounts") or ())


def _mount(asked: Mapping[str, Any], paths: Mapping[str, str], known: Mapping[str, str]) -> Mount:
    if asked["name"] not in paths:
        raise ConfigError(f'cannot find volume "{asked["name"]}" to mount into container', "CreateContainerConfigError")
    source = paths[asked["name"]]
    below = asked.get("subPath") or expand(asked.get("subPathExpr") or "", known)
    if below:
        source = _below(source, below)
    target = asked["mountPath"]
    return Mount(
        target=target if target.startswith("/") else f"/{target}",
        source=source,
        options=("rbind", _PROPAGATION[asked.get("mountPropagation") or "None"]),
        read_only=bool(asked.get("readOnly")),
    )


def _below(volume_path: str, below: str) -> str:
    """A path inside a volume, made where it is missing; links in it may not lead out."""
    root = os.path.realpath(volume_path)
    path = os.path.realpath(os.path.join(root, below))
    if os.path.isabs(below) or os.path.commonpath((root, path)) != root:
        raise ConfigError(f'subPath "{below}" is not below the volume')
    if not os.path.exists(path):
        os.makedirs(path, 0o750)
    return path
