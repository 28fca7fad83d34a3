"""Evict pods that hold more of the disk than they may: emptyDirs with a size, containers with a limit of their own.

The kernel limits emptyDirs in memory; nothing limits a directory, so it is looked at: every ten seconds, and only where
somebody has asked for a limit.  Decide: broken(), pure.

Source: Kubernetes documentation, "Local ephemeral storage"; the kubelet's eviction manager and its messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from coracle.core.clock import Clock
from coracle.core.informer import Informer
from coracle.core.loop import Again
from coracle.core.object import Key, Object
from coracle.core.quantity import Quantity
from coracle.core.store import Event
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.podspec.amounts import limits
from coracle.kube.kubelet.pressure import Evictor
from coracle.kube.kubelet.records import containers_of
from coracle.kube.kubelet.resources import asked
from coracle.kube.kubelet.use import DiskUse
from coracle.kube.kubelet.volumes.service import empty_dir_limit

POD = pods.KIND.type
PERIOD_S = 10.0
STORAGE = "ephemeral-storage"


def limited_volumes(pod: Object) -> dict[str, int]:
    """The emptyDirs on disk that have a limit, in bytes, by name."""
    found = {}
    for volume in pod.spec.get("volumes") or ():
        if volume.get("emptyDir") and volume["emptyDir"].get("medium") != "Memory":
            limit = empty_dir_limit(pod, volume)
            if limit is not None:
                found[volume["name"]] = limit
    return found


def limited_containers(pod: Object) -> dict[str, Quantity]:
    """The ordinary containers that have a limit, by name."""
    return {one["name"]: limit for one in containers_of(pod) if (limit := asked(one, "limits").get(STORAGE))}


def broken(pod: Object, use: DiskUse) -> str:
    """What is said of a pod that holds too much; "": it does not."""
    for name, limit_bytes in limited_volumes(pod).items():
        if use.volumes.get(name, 0) > limit_bytes:
            shown = next(one["emptyDir"]["sizeLimit"] for one in pod.spec["volumes"] if one["name"] == name)
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{shown}". '
    whole = limits(pod.spec).get(STORAGE)
    if whole is not None and use.total > whole.whole:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {whole}. "
    for name, limit in limited_containers(pod).items():
        if use.containers.get(name, 0) > limit.whole:
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def _is_limited(pod: Object) -> bool:
    return bool(limited_volumes(pod)) or STORAGE in limits(pod.spec)


def _with_limits(event: Event) -> Iterable[Key]:
    raw = event.entry.raw
    return (event.entry.key,) if b'"sizeLimit"' in raw or b'"ephemeral-storage"' in raw else ()


class StorageLimits:
    """The loop over pods with limits.  `measure` tells what a pod holds."""

    name = "kubelet-limits"
    watches = {POD: _with_limits}

    def __init__(
        self,
        caches: Mapping[str, Informer],
        node: str,
        measure: Callable[[Object], Awaitable[DiskUse]],
        evictor: Evictor,
        clock: Clock,
    ) -> None:
        self._pods, self._node, self._clock = caches[POD], node, clock
        self._measure, self._evictor = measure, evictor
        self._next_s: dict[Key, float] = {}

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._pods.find(key)
        if pod is None or pod.spec.get("nodeName") != self._node or not pods.active(pod) or not _is_limited(pod):
            self._next_s.pop(key, None)
            return None
        left_s = self._next_s.setdefault(key, self._clock.monotonic_s() + PERIOD_S) - self._clock.monotonic_s()
        if left_s > 0:
            return Again(left_s)
        self._next_s[key] = self._clock.monotonic_s() + PERIOD_S
        said = broken(pod, await self._measure(pod))
        if said:
            await self._evictor.evict(pod, said)
            return None
        return Again(PERIOD_S)
