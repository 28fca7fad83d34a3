"""How full the volumes of pods are: measured when monitoring asks.

Source: kubelet's stats/v1alpha1 VolumeStats; Kubernetes documentation, "Volume health monitoring"; the kubelet's
kubelet_volume_stats_* metrics.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import CloudError
from coracle.core.kind import Reader
from coracle.core.object import Json, Object
from coracle.core.tasks import offload
from coracle.engine.scratch import Scratch
from coracle.kube.kinds.storagerules import claims_of
from coracle.kube.kubelet.records import sandbox_name
from coracle.kube.kubelet.volumes.claims import locate
from coracle.kube.kubelet.volumes.payloads import SORTS
from coracle.kube.kubelet.volumes.using import used


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """A volume and what its file system says, in bytes and files; `used_bytes` is of the volume alone where we know.

    `claim`: the name of its claim; "": it has none.
    """

    name: str
    capacity_bytes: int
    available_bytes: int
    used_bytes: int
    inodes: int
    inodes_free: int
    claim: str = ""

    @property
    def amounts(self) -> Json:
        """As in VolumeStats."""
        return {
            "availableBytes": self.available_bytes,
            "capacityBytes": self.capacity_bytes,
            "usedBytes": self.used_bytes,
            "inodesFree": self.inodes_free,
            "inodes": self.inodes,
            "inodesUsed": self.inodes - self.inodes_free,
        }


def use_of(name: str, found: os.statvfs_result, claim: str = "", own_bytes: int | None = None) -> VolumeUse:
    """`own_bytes`: what the volume itself takes of a file system that it shares; None: all of it is its own."""
    whole, free = found.f_blocks * found.f_frsize, found.f_bfree * found.f_frsize
    return VolumeUse(
        name,
        whole,
        found.f_bavail * found.f_frsize,
        whole - free if own_bytes is None else own_bytes,
        found.f_files,
        found.f_ffree,
        claim,
    )


class VolumeMeter:
    def __init__(self, scratch: Scratch, reader: Reader) -> None:
        self._scratch, self._reader = scratch, reader

    async def measured(self, pod: Object) -> list[VolumeUse]:
        """Of the volumes that are set up; paths of the host and images are not measured."""
        names, found = used(pod), []
        for volume in pod.spec.get("volumes") or ():
            use = await self._one(pod, volume) if volume["name"] in names else None
            found += [use] if use is not None else []
        return found

    async def _one(self, pod: Object, volume: Mapping[str, Any]) -> VolumeUse | None:
        name, owner = volume["name"], sandbox_name(pod.meta.uid)
        if name in claims_of(pod):
            return await self._claimed(pod, volume)
        if not any(volume.get(sort) is not None for sort in (*SORTS, "emptyDir")):
            return None
        room = await self._scratch.room(owner, name)
        if room is None:
            return None
        own = None if (volume.get("emptyDir") or {}).get("medium") else await self._scratch.usage_bytes(owner, name)
        return use_of(name, room, own_bytes=own)

    async def _claimed(self, pod: Object, volume: Mapping[str, Any]) -> VolumeUse | None:
        try:
            place = locate(pod, volume, self._reader)
            if place.block or not place.ours:
                return None
            return use_of(volume["name"], await offload(os.statvfs, place.path), claims_of(pod)[volume["name"]])
        except (CloudError, OSError):
            return None  # it is not there (yet)
