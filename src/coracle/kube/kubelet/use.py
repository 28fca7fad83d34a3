"""What pods use of their node, and what of them can be given back: measured when the node runs short, never before.

Source: Kubernetes documentation, "Local ephemeral storage", "Garbage collection of unused containers and images".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coracle.core.errors import CloudError
from coracle.core.informer import Informer
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine.containers import Containers
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.scratch import Scratch
from coracle.kube.kinds import pod as pods
from coracle.kube.kubelet.ranking import VOLUMES
from coracle.kube.kubelet.records import Attempt, Present, Records, sandbox_name


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What a pod holds of the disk, in bytes.

    containers   by name: what they have written beside their images, and logged
    volumes      by name: its emptyDirs that are on disk
    """

    containers: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.containers.values()) + sum(self.volumes.values())


class PodUse:
    """The `pressure.Reach` of a real node."""

    def __init__(
        self,
        cache: Informer,
        records: Records,
        containers: Containers,
        *,
        files: Files,
        images: Images,
        scratch: Scratch,
    ) -> None:
        self._pods, self._records = cache, records
        self._containers, self._files, self._images, self._scratch = containers, files, images, scratch

    async def used(self, pod: Object, resource: str) -> Mapping[str, int]:
        """Of `memory` and `ephemeral-storage` (also for `inodes`) bytes, of `pids` processes; by container, VOLUMES."""
        if resource in ("memory", "pids"):
            there = self._present(pod).all
            return {one.container: self._running(one, resource) for one in there if one.state == "running"}
        disk = await self.disk(pod)
        return {**disk.containers, VOLUMES: sum(disk.volumes.values())}

    async def disk(self, pod: Object) -> DiskUse:
        found: dict[str, int] = {}
        for one in self._present(pod).all:
            with contextlib.suppress(CloudError):
                own = await self._files.own_bytes(one.id)
                logged = await offload(_folder_bytes, self._containers.log_path(one.id))
                found[one.container] = found.get(one.container, 0) + own + logged
        on_disk = [one["name"] for one in pod.spec.get("volumes") or () if _is_on_disk(one)]
        owner = sandbox_name(pod.meta.uid)
        return DiskUse(found, {name: await self._scratch.usage_bytes(owner, name) for name in on_disk})

    def gone(self, pod: Object) -> bool:
        """Volumes go before the sandbox does."""
        present = self._present(pod)
        return present.sandbox is None and not any(one.state == "running" for one in present.all)

    async def tidy(self) -> None:
        """Remove containers that have ended, with their logs, and images that nobody uses."""
        for pod in self._pods.list():
            for one in dead(pod, self._present(pod)):
                with contextlib.suppress(CloudError):
                    await self._containers.remove(one.id)
        await self._images.prune_unused()

    def _present(self, pod: Object) -> Present:
        return self._records.of(pod.key).get(pod.meta.uid, Present())

    def _running(self, attempt: Attempt, resource: str) -> int:
        try:
            usage = self._containers.usage(attempt.id)
        except CloudError:
            return 0  # it has ended
        return usage.memory_bytes if resource == "memory" else usage.pids


def dead(pod: Object, present: Present) -> list[Attempt]:
    """The containers that nobody needs: all of a pod that is over, else those that were started again since.  Pure."""
    if pods.ended(pod):
        return [one for one in present.all if one.ended]
    return [one for attempts in present.attempts.values() for one in attempts[:-1] if one.ended]


def _is_on_disk(volume: Mapping[str, object]) -> bool:
    empty = volume.get("emptyDir")
    return isinstance(empty, dict) and empty.get("medium") != "Memory"


def _folder_bytes(path: str) -> int:
    """Of the files beside `path`, a log: itself and what was rotated."""
    sizes: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(Path(path).parent):
            found = entry.stat(follow_symlinks=False)
            sizes[found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())
