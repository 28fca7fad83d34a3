"""What the loops of workloads work with, and what they all do with it: write a status, make a pod, remove one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coracle.core.clock import Clock
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import CloudError, NotFound
from coracle.core.informer import Informer
from coracle.core.object import Key, Object
from coracle.core.sameness import change_same
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.words import is_of_ending_namespace, said


@dataclass(frozen=True, slots=True)
class Means:
    """`caches` and `writers` by type in the store; `recorder` speaks for the controller."""

    caches: Mapping[str, Informer]
    writers: Mapping[str, Collection]
    recorder: EventRecorder
    clock: Clock

    async def tell(self, owner: Object, change: Callable[[Object], Object]) -> None:
        """Write the owner's status; nothing where it is gone by now, or is another one."""
        await change_same(self.writers[owner.type], owner, change, "status")

    async def make_pod(self, owner: Object, pod: Object) -> None:
        """Raises what keeps it from being made, but that its namespace goes: then nothing more will be, nor need be."""
        try:
            made = await self.writers[pods.KIND.type].create(pod)
        except CloudError as error:
            if is_of_ending_namespace(error):
                return
            self.recorder.emit(owner, "Warning", "FailedCreate", f"Error creating: {said(error)}")
            raise
        self.recorder.emit(owner, "Normal", "SuccessfulCreate", f"Created pod: {made.meta.name}")

    async def remove_pod(self, owner: Object, doomed: Key, uid: str = "") -> None:
        """`uid`: only if it is still that one.  Raises what keeps it from being removed."""
        try:
            await self.writers[pods.KIND.type].delete(doomed, Deletion(uid=uid))
        except NotFound:
            return
        except CloudError as error:
            self.recorder.emit(owner, "Warning", "FailedDelete", f"Error deleting: {said(error)}")
            raise
        self.recorder.emit(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {doomed.name}")
