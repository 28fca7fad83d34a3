"""Sets the volumes of pods up, keeps them current, and drops them.

    emptyDir, secret                        <root>/scratch/<sandbox>/<volume>, secrets and tokens in memory
    configMap, downwardAPI, projected       the same, on disk
    hostPath, claims                        where they are
    image                                   the image's layers, to be read only

Source: Kubernetes documentation, "Volumes".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from coracle.core.clock import Clock, rfc3339
from coracle.core.errors import CloudError
from coracle.core.object import Object
from coracle.core.quantity import parse
from coracle.core.tasks import offload
from coracle.engine.images import Images, Policy
from coracle.engine.scratch import Scratch
from coracle.kube.kinds.podspec.defaults import pull_policy
from coracle.kube.kubelet.environment import Surroundings
from coracle.kube.kubelet.imageaccess import ImageAccess
from coracle.kube.kubelet.records import containers_of, sandbox_name
from coracle.kube.kubelet.resources import asked as amounts_of
from coracle.kube.kubelet.volumes import atomic, ownership
from coracle.kube.kubelet.volumes.claims import ClaimUnusable, Place, locate, nobody_mounts
from coracle.kube.kubelet.volumes.payloads import SORTS, is_secret, payload
from coracle.kube.kubelet.volumes.using import propagation, used
from coracle.linux.idmaps import Users

_OF_THE_HOST = ("hostPath", "persistentVolumeClaim", "ephemeral")
_IMAGE = "image."  # before the names of image volumes, in place of a directory of their own


class MountFailed(CloudError):
    """A volume of the pod cannot be set up; tried again."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a pod: its path on the host, whether containers may only read it, and how else it is mounted.

    `mapped`: its files belong to the pod's own users already.  `device`: it is a block device, and not mounted.
    """

    path: str
    read_only: bool = False
    options: tuple[str, ...] = ()
    mapped: bool = False
    device: bool = False


class PodVolumes:
    """`around`: what files may tell of the node, and where config maps, secrets and claims are found."""

    def __init__(
        self, directories: Scratch, images: Images, around: Surroundings, clock: Clock, *, pulls: ImageAccess
    ) -> None:
        self._directories, self._images, self._pulls = directories, images, pulls
        self._around, self._clock = around, clock
        self._locks: dict[str, asyncio.Lock] = {}

    async def prepare(self, pod: Object, *, again: bool = False, users: Users | None = None) -> dict[str, Volume]:
        """Where each volume that the pod's containers use is on the host.  Idempotent.  Raises MountFailed.

        `again`: the pod has had them before, and may have changed what the group was given.  `users`: its own.
        """
        found, names = {}, used(pod)
        async with self._lock(pod):
            for volume in pod.spec.get("volumes") or ():
                if volume["name"] not in names:
                    continue
                with _told(pod, volume):
                    made = await self._one(pod, volume, again=again, users=users)
                    found[volume["name"]] = await self._shown(pod, volume, made)
        return found

    async def refresh(self, pod: Object) -> list[str]:
        """Bring the files of volumes that are set up already up to date.  Returns what is said of those that fail."""
        failures = []
        async with self._lock(pod):
            there = await self._directories.volumes(sandbox_name(pod.meta.uid))
            for volume in pod.spec.get("volumes") or ():
                if _sort(volume) not in SORTS or volume["name"] not in there:
                    continue
                try:
                    with _told(pod, volume):
                        await self._files(pod, volume)
                except MountFailed as error:
                    failures.append(str(error))
        return failures

    async def drop(self, owner: str) -> None:
        """Remove what was made for a pod; `owner` is its sandbox's name.  Idempotent."""
        async with self._locks.setdefault(owner, asyncio.Lock()):
            for name in await self._directories.volumes(owner):
                if name.startswith(_IMAGE):
                    await self._images.discard(f"{owner}.{name}")
            await self._directories.drop_scratch(owner)
        self._locks.pop(owner, None)

    async def owners(self) -> list[str]:
        """The sandboxes' names for which there are volumes."""
        return [owner for owner in await self._directories.owners() if owner.startswith(sandbox_name(""))]

    async def part(self, pod: Object, name: str, volume: Volume, below: str) -> str:
        """A path that shows what is at `below` in a volume; missing directories are made, unless it is only read.

        Raises: NotFound, Invalid, Exhausted, Broken.
        """
        owner, make = sandbox_name(pod.meta.uid), not volume.read_only
        return await self._directories.part(owner, name, volume.path, below, make=make)

    def _lock(self, pod: Object) -> asyncio.Lock:
        return self._locks.setdefault(sandbox_name(pod.meta.uid), asyncio.Lock())

    async def _one(self, pod: Object, volume: Mapping[str, Any], *, again: bool, users: Users | None) -> Volume:
        sort = _sort(volume)
        if sort in SORTS:
            return await self._files(pod, volume)
        match sort:
            case "emptyDir":
                return await self._empty(pod, volume, again=again)
            case "hostPath":
                asked = volume["hostPath"]
                return Volume(await self._host_path(Place(asked["path"], asked.get("type") or "")))
            case "persistentVolumeClaim" | "ephemeral":
                return await self._claimed(pod, volume, again=again)
            case "image":
                return await self._image(pod, volume, users)
        raise ClaimUnusable(nobody_mounts(volume["name"], sort, volume[sort]))

    async def _shown(self, pod: Object, asked: Mapping[str, Any], volume: Volume) -> Volume:
        """Where containers pass on what they mount, they do so through one place: of the host, for all pods."""
        name = asked["name"]
        wanted = propagation(pod, name)
        of_the_host = _sort(asked) in _OF_THE_HOST and not volume.device
        if wanted and of_the_host and await self._directories.passing(volume.path):
            return volume
        if "Bidirectional" in wanted:
            path = await self._directories.shared(sandbox_name(pod.meta.uid), f"shared.{name}", volume.path)
            return replace(volume, path=path)
        return volume

    async def _files(self, pod: Object, volume: Mapping[str, Any]) -> Volume:
        files = payload(pod, volume, self._around)
        medium = "Memory" if is_secret(volume) else ""
        path = await self._directories.scratch(sandbox_name(pod.meta.uid), volume["name"], medium=medium)
        stamp = rfc3339(self._clock.now_s())[:19].replace("-", "_").replace("T", "_").replace(":", "_")
        await offload(atomic.write, Path(path), files, stamp, _group(pod))
        return Volume(path, read_only=True)

    async def _empty(self, pod: Object, volume: Mapping[str, Any], *, again: bool) -> Volume:
        asked = volume["emptyDir"] or {}
        medium = asked.get("medium") or ""
        limit = empty_dir_limit(pod, volume)
        path = await self._directories.scratch(
            sandbox_name(pod.meta.uid), volume["name"], medium=medium, size_bytes=limit
        )
        await self._give(pod, path, again=again)
        return Volume(path)

    async def _claimed(self, pod: Object, volume: Mapping[str, Any], *, again: bool) -> Volume:
        place = locate(pod, volume, self._around.reader)
        path = await self._at(pod, volume["name"], place)
        read_only = bool((volume.get("persistentVolumeClaim") or {}).get("readOnly"))
        if place.block:
            path = await self._directories.device(sandbox_name(pod.meta.uid), volume["name"], path)
            return Volume(path, read_only, device=True)
        if place.ours and not read_only:
            await self._give(pod, path, again=again)
        return Volume(path, read_only, options=tuple(one for one in place.options if one != "defaults"))

    async def _image(self, pod: Object, volume: Mapping[str, Any], users: Users | None) -> Volume:
        """The files of an image, none of them to be run; a directory says that there is a view to take away."""
        asked, owner, name = volume["image"], sandbox_name(pod.meta.uid), f"{_IMAGE}{volume['name']}"
        policy = cast(Policy, asked.get("pullPolicy") or pull_policy(asked["reference"]))
        image = await self._pulls.get(pod, asked["reference"], policy)
        await self._directories.scratch(owner, name)
        path = await self._images.mount(image, f"{owner}.{name}", read_only=True, users=users)
        return Volume(path, read_only=True, options=("noexec",), mapped=users is not None)

    async def _at(self, pod: Object, name: str, place: Place) -> str:
        if place.file_system is None:
            return await self._host_path(place)
        return await self._directories.local(sandbox_name(pod.meta.uid), name, place.path, place.file_system)

    async def _host_path(self, place: Place) -> str:
        """A path without a type is made, as a directory, where nothing is."""
        nothing = not place.type and not await offload(os.path.lexists, place.path)
        return await self._directories.host_path(place.path, "DirectoryOrCreate" if nothing else place.type)

    async def _give(self, pod: Object, path: str, *, again: bool) -> None:
        """A pod's second time, after a reboot its memory is new and has to be given anew."""
        gid = _group(pod)
        if gid is None or (again and (await offload(os.stat, path)).st_gid == gid):
            return
        policy = (pod.spec.get("securityContext") or {}).get("fsGroupChangePolicy")
        await offload(partial(ownership.give, path, gid, only_if_root_differs=policy == "OnRootMismatch"))


def empty_dir_limit(pod: Object, volume: Mapping[str, Any]) -> int | None:
    """In bytes: what the volume says; one in memory holds no more than the pod may have of it.  None: no limit."""
    asked = volume["emptyDir"] or {}
    own = [parse(asked["sizeLimit"]).whole] if asked.get("sizeLimit") else []
    holders = [pod.spec] if amounts_of(pod.spec, "limits").get("memory") else containers_of(pod)
    memory = [amounts_of(one, "limits").get("memory") for one in holders]
    if asked.get("medium") == "Memory" and all(memory):
        own.append(sum(amount.whole for amount in memory if amount))
    return min(own, default=None)


def _group(pod: Object) -> int | None:
    gid: int | None = (pod.spec.get("securityContext") or {}).get("fsGroup")
    return gid


def _sort(volume: Mapping[str, Any]) -> str:
    return next((name for name, value in volume.items() if name != "name" and value is not None), "none")


@contextmanager
def _told(pod: Object, volume: Mapping[str, Any]) -> Iterator[None]:
    """Failures in the kubelet's words."""
    try:
        yield
    except ClaimUnusable as error:
        raise MountFailed(str(error), kind="Pod", name=pod.meta.name) from error
    except (CloudError, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        said = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {why}'
        raise MountFailed(said, kind="Pod", name=pod.meta.name) from error
