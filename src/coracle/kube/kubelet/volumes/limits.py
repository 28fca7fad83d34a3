"""Evict pods whose emptyDirs on disk hold more than they may.

The kernel limits those in memory; nothing limits a directory, so it is looked at: every ten seconds, and only where
somebody has asked for a limit.

Source: Kubernetes documentation, "Local ephemeral storage"; the kubelet's eviction manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.informer import Informer
from coracle.core.loop import Again
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.volumes.service import PodVolumes, empty_dir_limit

POD = pods.KIND.type
PERIOD_S = 10.0


def limited(pod: Object) -> dict[str, int]:
    """The emptyDirs on disk that have a limit, in bytes, by name."""
    found = {}
    for volume in pod.spec.get("volumes") or ():
        if volume.get("emptyDir") and volume["emptyDir"].get("medium") != "Memory":
            limit = empty_dir_limit(pod, volume)
            if limit is not None:
                found[volume["name"]] = limit
    return found


def _with_limits(event: Event) -> Iterable[Key]:
    return (event.entry.key,) if b'"sizeLimit"' in event.entry.raw else ()


class EmptyDirLimits:
    """The loop over pods with limits."""

    name = "kubelet-limits"
    watches = {POD: _with_limits}

    def __init__(
        self,
        caches: Mapping[str, Informer],
        node: str,
        volumes: PodVolumes,
        writer: Collection,
        *,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._pods, self._node = caches[POD], node
        self._volumes, self._writer = volumes, writer
        self._recorder, self._clock = recorder, clock
        self._next_s: dict[Key, float] = {}

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._pods.find(key)
        if pod is None or pod.spec.get("nodeName") != self._node or not pods.active(pod) or not limited(pod):
            self._next_s.pop(key, None)
            return None
        left_s = self._next_s.setdefault(key, self._clock.monotonic_s() + PERIOD_S) - self._clock.monotonic_s()
        if left_s > 0:
            return Again(left_s)
        self._next_s[key] = self._clock.monotonic_s() + PERIOD_S
        said = await self._broken(pod)
        if said:
            await self._evict(pod, said)
            return None
        return Again(PERIOD_S)

    async def _broken(self, pod: Object) -> str:
        for name, limit in limited(pod).items():
            if await self._volumes.usage_bytes(pod, name) > limit:
                shown = next(one["emptyDir"]["sizeLimit"] for one in pod.spec["volumes"] if one["name"] == name)
                return f'Usage of EmptyDir volume "{name}" exceeds the limit "{shown}". '
        return ""

    async def _evict(self, pod: Object, message: str) -> None:
        """The pod has failed; its loop ends what still runs."""
        self._recorder.emit(pod, "Warning", "Evicted", message)

        def evicted(now: Object) -> Object:
            if now.meta.uid != pod.meta.uid or pods.ended(now):
                return now
            return now.with_status(phase="Failed", reason="Evicted", message=message)

        try:
            await self._writer.change(pod.key, evicted, "status")
        except NotFound:
            return
