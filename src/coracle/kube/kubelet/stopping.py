"""Taking pods down: containers within their grace, then everything of the pod, then the pod itself.

Ending is a chore (it may take the whole grace); the record of the end wakes the pod's loop, which goes on from there.
The sandbox's record goes last, so that whatever a dying daemon leaves is found again by it.

Source: Kubernetes documentation, "Pod Lifecycle", "Termination of Pods".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container, Iterable

from coracle.core.clock import Clock
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import CloudError, NotFound
from coracle.core.object import Key, Object
from coracle.core.sameness import delete_same
from coracle.engine.containers import Containers
from coracle.engine.sandboxes import Sandboxes
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.chores import Chores
from coracle.kube.kubelet.hooks import Hooks
from coracle.kube.kubelet.messages import Messages
from coracle.kube.kubelet.plan import Stop
from coracle.kube.kubelet.records import Attempt, Present, event_field, sandbox_name
from coracle.kube.kubelet.volumes.service import PodVolumes

_LEAST_GRACE_S = 2.0  # of a process whose preStop hook, or turn, has used up the grace
ORPHAN_GRACE_S = 2.0  # of containers whose pod was removed by force


class Stopper:
    """Ends single containers, as chores."""

    def __init__(
        self, containers: Containers, hooks: Hooks, chores: Chores, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._containers, self._hooks = containers, hooks
        self._chores, self._recorder, self._clock = chores, recorder, clock

    def stop(self, pod: Object, stop: Stop, address: str) -> None:
        """Begin to end a container.  Said again with less grace, only that counts."""
        limit = pod.meta.grace_s if pod.meta.deleting else ""
        mine = f"stop/{stop.id}/{limit}"
        others = [name for name in self._chores.names(pod.meta.uid) if name.startswith(f"stop/{stop.id}/")]
        if not others:
            self._recorder.emit(pod, "Normal", "Killing", stop.message, field=event_field(pod, stop.container))
        for name in others:
            if name != mine:
                self._chores.cancel(pod.meta.uid, name)
        self._chores.cancel(pod.meta.uid, f"postStart/{stop.id}")
        self._chores.begin(pod.meta.uid, pod.key, mine, lambda: self._stop(pod, stop, address))

    async def _stop(self, pod: Object, stop: Stop, address: str) -> None:
        """preStop, then the wait for its turn, then the signal; the process has a little time after a grace that both
        have used up."""
        begun_s = self._clock.monotonic_s()
        await self._hooks.before_stop(pod, stop, address)
        await self._turn(stop, stop.grace_s - (self._clock.monotonic_s() - begun_s))
        used_s = self._clock.monotonic_s() - begun_s
        await self._containers.stop(stop.id, max(stop.grace_s - used_s, min(_LEAST_GRACE_S, stop.grace_s)))

    async def _turn(self, stop: Stop, most_s: float) -> None:
        """Wait until those have ended that `stop` comes after."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(most_s, 0)):
                for id in stop.after:
                    with contextlib.suppress(NotFound):
                        await self._containers.wait_exit(id)


class Clearer:
    """Removes what is left of pods once nothing of them runs; what was made and not started does not run."""

    def __init__(
        self,
        containers: Containers,
        sandboxes: Sandboxes,
        volumes: PodVolumes,
        messages: Messages,
        *,
        pods: Collection,
        chores: Chores,
    ) -> None:
        self._containers, self._sandboxes = containers, sandboxes
        self._volumes, self._messages = volumes, messages
        self._pods, self._chores = pods, chores

    async def forget(self, ids: Iterable[str]) -> None:
        """Remove containers that have ended, with their logs."""
        async with asyncio.TaskGroup() as group:
            for id in ids:
                group.create_task(self._containers.remove(id, force=True))

    async def sweep(self, live: Container[str]) -> None:
        """At start: drop the volumes of pods that went while we were away; `live` are sandboxes' names."""
        for owner in await self._volumes.owners():
            if owner not in live and self._sandboxes.find(owner) is None:
                await self._volumes.drop(owner)
        for uid in await self._messages.owners():
            if sandbox_name(uid) not in live:
                await self._messages.drop(uid)

    async def release(self, pod: Object) -> None:
        """The pod is over: its address and volumes go, its ended containers stay for their logs."""
        await self._volumes.drop(sandbox_name(pod.meta.uid))
        await self._sandboxes.remove(sandbox_name(pod.meta.uid))

    async def finish(self, pod: Object, present: Present) -> None:
        """Remove everything of a pod whose containers have ended, then the pod."""
        await self._remove(pod.meta.uid, present)
        await delete_same(self._pods, pod, Deletion(grace_s=0))

    def orphan(self, key: Key, pod_uid: str, present: Present) -> None:
        """Begin to remove what belongs to no pod any more: it was deleted by force, or while we were away."""
        self._chores.begin(pod_uid, key, "orphan", lambda: self._clear(pod_uid, present))

    async def _clear(self, pod_uid: str, present: Present) -> None:
        async with asyncio.TaskGroup() as group:
            for attempt in present.all:
                if attempt.state == "running":
                    group.create_task(self._end(attempt))
        await self._remove(pod_uid, present)

    async def _end(self, attempt: Attempt) -> None:
        try:
            await self._containers.stop(attempt.id, min(attempt.grace_s, ORPHAN_GRACE_S))
        except CloudError:
            return  # `remove` ends it by force

    async def _remove(self, pod_uid: str, present: Present) -> None:
        await self.forget(attempt.id for attempt in present.all)
        await self._volumes.drop(sandbox_name(pod_uid))
        await self._messages.drop(pod_uid)
        await self._sandboxes.remove(sandbox_name(pod_uid))
