"""Say how volumes are, and let go of those whose claim is gone.

Decide: fate(), pure.  Act: VolumeKeeper.reconcile().  What a released volume held is removed by `reclaiming`, where it
can be; a volume of which nobody can remove anything is said to have failed.

Source: Kubernetes documentation, "Persistent Volumes", "Phase", "Reclaiming".
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Object
from coracle.core.sameness import change_same
from coracle.core.store import Event
from coracle.kube.controllers.storage.claims import CLAIM, VOLUME
from coracle.kube.controllers.storage.phases import in_phase
from coracle.kube.kinds import persistentvolume as volumes
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagerules import BOUND_BY_CONTROLLER, PROVISIONED_BY


@dataclass(frozen=True, slots=True)
class Fate:
    """`phase` "": as it is.  `unbind`: forget the claim.  `failure`: reason and message of an event."""

    phase: str = ""
    unbind: bool = False
    failure: tuple[str, str] = ("", "")


def fate(volume: Object, claim: Object | None) -> Fate:
    """What becomes of a volume; `claim` is the one that it names, if that is there."""
    ref = volumes.claim_of(volume)
    if not ref or not ref.get("uid"):
        return Fate("Available")
    if claim is None or claim.meta.uid != ref["uid"]:
        return _released(volume)
    if not claim.spec.get("volumeName"):
        return Fate()  # the binder goes on
    if claim.spec["volumeName"] == volume.meta.name:
        return Fate("Bound")
    made_for_it = PROVISIONED_BY in volume.meta.annotations and _policy(volume) == "Delete"
    return _released(volume) if made_for_it else Fate("Available", unbind=True)


def _policy(volume: Object) -> str:
    return str(volume.spec.get("persistentVolumeReclaimPolicy") or "Retain")


def removable(volume: Object) -> bool:
    """Whether a path of the host that was made a volume by hand is removed with it: below /tmp only."""
    path = posixpath.normpath((volume.spec.get("hostPath") or {}).get("path") or "")
    return path.startswith("/tmp/")  # noqa: S108 - the host's, as the API says


def _released(volume: Object) -> Fate:
    name, policy, failed = volume.meta.name, _policy(volume), volume.status.get("phase") == "Failed"
    if policy == "Retain" or failed or PROVISIONED_BY in volume.meta.annotations:
        return Fate("Failed" if failed and policy != "Retain" else "Released")
    if policy == "Recycle":
        none = ("VolumeFailedRecycle", "No recycler plugin found for the volume!")
        return Fate("Released") if volume.spec.get("hostPath") else Fate("Failed", failure=none)
    if removable(volume):
        return Fate("Released")
    said = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
    if volume.spec.get("hostPath"):
        said = f"host_path deleter only supports /tmp/.+ but received provided {volume.spec['hostPath']['path']}"
    return Fate("Failed", failure=("VolumeFailedDelete", said))


class VolumeKeeper:
    name = "persistentvolume-keeper"

    def __init__(
        self, caches: Mapping[str, Informer], writer: Collection, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._volumes, self._claims = caches[VOLUME], caches[CLAIM]
        self._writer, self._recorder, self._clock = writer, recorder, clock
        self.watches = {VOLUME: itself, CLAIM: self._of_claim}

    async def reconcile(self, key: Key) -> None:
        volume = self._volumes.find(key)
        if volume is None:
            return
        ref = volumes.claim_of(volume)
        claim = self._claims.find(Key(str(ref.get("namespace")), str(ref.get("name")))) if ref else None
        found = fate(volume, claim)
        if found.unbind:
            await self._change(volume, unbound)
        reason, message = found.failure
        if reason:
            self._recorder.emit(volume, "Warning", reason, message)
        if found.phase and found.phase != volume.status.get("phase"):
            now = rfc3339(self._clock.now_s())
            await self._change(volume, lambda present: in_phase(present, found.phase, now, reason, message), "status")

    def _of_claim(self, event: Event) -> Iterable[Key]:
        claim = event.entry.object()
        found = set(self._volumes.keys_by("for", str(claim.key)))
        return found | ({Key("", claim.spec["volumeName"])} if claim.spec.get("volumeName") else set())

    async def _change(self, volume: Object, how: Callable[[Object], Object], part: str = "main") -> None:
        await change_same(self._writer, volume, how, part)


def unbound(volume: Object) -> Object:
    """As it was before it was bound: a user's own reservation stays, without the uid."""
    spec = dict(volume.spec)
    ref = dict(spec.pop("claimRef", {}))
    annotations = dict(volume.meta.annotations)
    if annotations.pop(BOUND_BY_CONTROLLER, None) is None:
        spec["claimRef"] = {name: value for name, value in ref.items() if name not in ("uid", "resourceVersion")}
    return volume.with_body(spec=spec).with_meta(annotations=annotations)
