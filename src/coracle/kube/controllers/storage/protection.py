"""Keep claims that pods use, and volumes that claims have, until they are free.

Source: Kubernetes documentation, "Storage Object in Use Protection".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Object
from coracle.core.sameness import change_same
from coracle.core.store import Entry, Event
from coracle.kube.controllers.storage.claims import CLAIM, VOLUME
from coracle.kube.kinds import persistentvolume as volumes
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.storagerules import claims_of

POD = pods.KIND.type


def _used(pod: Object) -> Iterable[str]:
    """`ns/claim` of what a pod mounts; one without a node uses nothing yet."""
    if not pod.spec.get("nodeName"):
        return ()
    return [f"{pod.meta.namespace}/{name}" for name in claims_of(pod).values()]


INDEXES: Mapping[str, Mapping[str, Index]] = {POD: {"claims": _used}}


class ClaimProtection:
    name = "pvc-protection"

    def __init__(self, caches: Mapping[str, Informer], writer: Collection) -> None:
        self._claims, self._pods, self._writer = caches[CLAIM], caches[POD], writer
        self.watches = {CLAIM: itself, POD: _of_pod}

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.find(key)
        if claim is None or not claim.meta.deleting or claims.PROTECTION not in claim.meta.finalizers:
            return
        if not self._pods.keys_by("claims", str(key)):
            await change_same(self._writer, claim, lambda now: now.without_finalizer(claims.PROTECTION))


class VolumeProtection:
    name = "pv-protection"
    watches = {VOLUME: itself}

    def __init__(self, caches: Mapping[str, Informer], writer: Collection) -> None:
        self._volumes, self._writer = caches[VOLUME], writer

    async def reconcile(self, key: Key) -> None:
        volume = self._volumes.find(key)
        if volume is None or not volume.meta.deleting or volumes.PROTECTION not in volume.meta.finalizers:
            return
        if volume.status.get("phase") != "Bound":
            await change_same(self._writer, volume, lambda now: now.without_finalizer(volumes.PROTECTION))


def _of_pod(event: Event) -> Iterable[Key]:
    """What a pod that goes leaves to others."""
    return _claims_in(event.entry) if event.type == "DELETED" else ()


def _claims_in(entry: Entry) -> Iterable[Key]:
    if b'"persistentVolumeClaim"' not in entry.raw and b'"ephemeral"' not in entry.raw:
        return ()
    return [Key(entry.key.namespace, name) for name in claims_of(entry.object()).values()]
