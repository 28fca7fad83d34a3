"""What released volumes held is removed, where they say so and it is of this machine.

    made here       Delete: the directory, then the volume
    by hand         a hostPath alone.  Recycle: emptied, and free again; Delete: below /tmp only, as in Kubernetes

Decide: deed(), pure.  Act: Reclaimer.reconcile().

Source: Kubernetes documentation, "Persistent Volumes: Reclaiming"; the words of the host path plugin.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Literal

from coracle.core.collection import Collection
from coracle.core.errors import CloudError
from coracle.core.informer import Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Object
from coracle.core.sameness import change_same, delete_same
from coracle.kube.controllers.storage.claims import CLAIM, VOLUME
from coracle.kube.controllers.storage.contents import FINALIZER, Directories, is_ours
from coracle.kube.controllers.storage.volumes import removable, unbound
from coracle.kube.kinds.persistentvolume import claim_of
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagerules import PROVISIONED_BY

Deed = Literal["", "remove", "forget", "recycle"]


def deed(volume: Object, claim: Object | None) -> Deed:
    """The next step for a volume; "": none.  "forget": only our hold on it is left.

    `claim` is the one that the volume names, if it is there: what it says counts, the phase may be late.
    """
    phase, policy = volume.status.get("phase"), volume.spec.get("persistentVolumeReclaimPolicy")
    ref = claim_of(volume)
    if claim is not None and claim.meta.uid == ref.get("uid"):
        return ""
    released = phase == "Released" and bool(ref)
    if is_ours(volume):
        if policy == "Delete" and (released or (volume.meta.deleting and phase != "Bound")):
            return "remove"
        return "forget" if volume.meta.deleting and phase != "Bound" else ""
    by_others = PROVISIONED_BY in volume.meta.annotations
    if not released or by_others or volume.meta.deleting or not volume.spec.get("hostPath"):
        return ""
    if policy == "Recycle":
        return "recycle"
    return "remove" if policy == "Delete" and removable(volume) else ""


class Reclaimer:
    """The loop over volumes."""

    name = "reclaimer"
    watches = {VOLUME: itself}

    def __init__(
        self, caches: Mapping[str, Informer], volumes: Collection, directories: Directories, recorder: EventRecorder
    ) -> None:
        self._volumes, self._claims, self._writer = caches[VOLUME], caches[CLAIM], volumes
        self._directories, self._recorder = directories, recorder

    async def reconcile(self, key: Key) -> None:
        volume = self._volumes.find(key)
        if volume is None:
            return
        ref = claim_of(volume)
        todo = deed(volume, self._claims.find(Key(str(ref.get("namespace")), str(ref.get("name")))))
        if todo == "recycle":
            await self._recycle(volume)
            return
        if todo == "remove":
            await self._remove(volume)
        if todo and volume.meta.deleting:
            await self._change(volume, _let_go)
        elif todo == "remove":
            await self._delete(volume)

    async def _remove(self, volume: Object) -> None:
        try:
            if is_ours(volume):
                await self._directories.remove(volume.meta.name)
            else:
                await self._directories.remove_path(posixpath.normpath(volume.spec["hostPath"]["path"]))
        except CloudError as error:
            self._recorder.emit(volume, "Warning", "VolumeFailedDelete", str(error))
            raise

    async def _recycle(self, volume: Object) -> None:
        try:
            await self._directories.scrub(volume.spec["hostPath"]["path"])
        except CloudError as error:
            self._recorder.emit(volume, "Warning", "VolumeFailedRecycle", f"Recycle failed: {error}")
            raise
        self._recorder.emit(volume, "Normal", "VolumeRecycled", "Volume recycled")
        await self._change(volume, unbound)

    async def _delete(self, volume: Object) -> None:
        await delete_same(self._writer, volume)

    async def _change(self, volume: Object, how: Callable[[Object], Object]) -> None:
        await change_same(self._writer, volume, how)


def _let_go(volume: Object) -> Object:
    return volume.without_finalizer(FINALIZER)
