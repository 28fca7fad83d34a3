"""Claims that ask for more get it, where their volume was made here.

Source: Kubernetes documentation, "Expanding Persistent Volumes Claims"; the external resizer's events and status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import CloudError, NotFound
from coracle.core.informer import Informer
from coracle.core.loop import itself
from coracle.core.object import Json, Key, Object
from coracle.core.quantity import Quantity, parse
from coracle.kube.controllers.storage.claims import CLAIM, VOLUME
from coracle.kube.controllers.storage.contents import Directories, is_block, is_ours
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds.conditions import condition
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagerules import capacity

_RESIZES = ("Resizing", "FileSystemResizePending")
_ELSEWHERE = "waiting for an external controller to expand this PVC"


def resizing(claim: Object, wanted: Quantity, now: str) -> Object:
    """The claim while its volume grows."""
    if condition(claim, "Resizing"):
        return claim
    said: Json = {"type": "Resizing", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    return claim.with_status(
        conditions=[*(claim.status.get("conditions") or ()), said],
        allocatedResources={"storage": str(wanted)},
        allocatedResourceStatuses={"storage": "ControllerResizeInProgress"},
    )


def resized(claim: Object, wanted: Quantity) -> Object:
    """The claim when it has what it asked for."""
    left = [one for one in claim.status.get("conditions") or () if one["type"] not in _RESIZES]
    done = ("conditions", "allocatedResourceStatuses")
    kept = {name: value for name, value in claim.status.items() if name not in done}
    size = {"storage": str(wanted)}
    return claim.with_body(
        status={**kept, "capacity": size, "allocatedResources": size, **({"conditions": left} if left else {})}
    )


class Grower:
    """The loop over bound claims."""

    name = "resizer"
    watches = {CLAIM: itself}

    def __init__(
        self,
        caches: Mapping[str, Informer],
        claims: Collection,
        volumes: Collection,
        directories: Directories,
        *,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._claims, self._volumes = caches[CLAIM], caches[VOLUME]
        self._claim_writer, self._volume_writer = claims, volumes
        self._directories, self._recorder, self._clock = directories, recorder, clock

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.find(key)
        if claim is None or claim.meta.deleting or not claims.is_bound(claim):
            return
        volume, wanted = self._volumes.find(Key("", claim.spec["volumeName"])), claims.requested(claim)
        if volume is None or not capacity(claim) or wanted <= parse(capacity(claim)):
            return
        if not is_ours(volume):
            self._recorder.emit(claim, "Normal", "ExternalExpanding", _ELSEWHERE)
            return
        await self._grow(claim, volume, wanted)

    async def _grow(self, claim: Object, volume: Object, wanted: Quantity) -> None:
        """First the volume, then what the claim says it has."""
        now = rfc3339(self._clock.now_s())
        self._recorder.emit(claim, "Normal", "Resizing", f"External resizer is resizing volume {volume.meta.name}")
        try:
            await self._change(claim, lambda claim: resizing(claim, wanted, now))
            if is_block(volume):
                await self._directories.make_block(volume.meta.name, wanted.whole)
            await self._volume_writer.change(
                volume.key, lambda volume: volume.with_spec(capacity={"storage": str(wanted)})
            )
            await self._change(claim, lambda claim: resized(claim, wanted))
        except NotFound:
            return
        except CloudError as error:
            said = f'resize volume "{volume.meta.name}" failed: {error}'
            self._recorder.emit(claim, "Warning", "VolumeResizeFailed", said)
            raise
        self._recorder.emit(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")

    async def _change(self, claim: Object, how: Callable[[Object], Object]) -> None:
        await self._claim_writer.change(
            claim.key, lambda now: how(now) if now.meta.uid == claim.meta.uid else now, "status"
        )
