"""The cluster's own provisioner: volumes that are directories of this machine.

A claim that was handed to it gets a directory and a volume of the size that it asks for; the size is said, not
enforced.  A released volume goes with what is in it, where its class says Delete.  A claim that asks for more gets it.

Source: Kubernetes documentation, "Dynamic Volume Provisioning"; the external provisioner's events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from coracle.core.collection import Collection, Deletion
from coracle.core.errors import AlreadyExists, CloudError, Conflict, NotFound
from coracle.core.informer import Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Meta, Object
from coracle.core.quantity import parse
from coracle.kube.controllers.storage.claims import CLAIM, CLASS, VOLUME
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds import storageclass
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagerules import (
    DEFAULT_CLASS,
    PROVISIONED_BY,
    PROVISIONER,
    capacity,
    class_of,
    default_class,
)

NAME = "coracle.io/local-directory"
FINALIZER = "coracle.io/local-directory"
STANDARD = "standard"


class Directories(Protocol):
    """Where the volumes' contents are."""

    async def make(self, name: str) -> str:
        """The path of the directory of that name, made or as it is."""
        ...

    async def remove(self, name: str) -> None:
        """With all that is in it.  Idempotent."""
        ...

    async def empty(self) -> Sequence[str]:
        """The names of those in which nothing is."""
        ...


async def ensure_class(writer: Collection) -> None:
    """A class of ours, where there is none; the default one, unless somebody has made another that."""
    present = writer.list()
    if any(cls.body.get("provisioner") == NAME for cls in present):
        return
    marks = {} if default_class(present) else {DEFAULT_CLASS: "true"}
    body = {
        "provisioner": NAME,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": True,
    }
    meta = Meta(name=STANDARD, annotations=marks)
    try:
        await writer.create(Object("StorageClass", meta, body, storageclass.API))
    except AlreadyExists:
        return


async def sweep(volumes: Collection, claims: Collection, directories: Directories) -> None:
    """At start: remove directories that were made for volumes which the last daemon had no time to store."""
    known = {volume.meta.name for volume in volumes.list()} | {volume_name(claim) for claim in claims.list()}
    for name in await directories.empty():
        if name not in known:
            await directories.remove(name)


def volume_name(claim: Object) -> str:
    return f"pvc-{claim.meta.uid}"


def refused(claim: Object) -> str:
    """Why no directory will do; "": one will."""
    if claim.spec.get("volumeMode") == "Block":
        return "block volumes are not supported: ask for volumeMode Filesystem"
    source = claim.spec.get("dataSourceRef") or claim.spec.get("dataSource")
    return f"volumes made from a {source.get('kind')} are not supported" if source else ""


def new_volume(claim: Object, cls: Object, path: str) -> Object:
    """The volume for a claim; pure."""
    ref = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": claim.meta.name,
        "namespace": claim.meta.namespace,
        "uid": claim.meta.uid,
    }
    spec: dict[str, Any] = {
        "accessModes": claim.spec.get("accessModes"),
        "capacity": {"storage": str(claims.requested(claim))},
        "claimRef": ref,
        "hostPath": {"path": path, "type": "Directory"},
        "persistentVolumeReclaimPolicy": cls.body.get("reclaimPolicy") or "Delete",
        "storageClassName": cls.meta.name,
        "volumeMode": claim.spec.get("volumeMode"),
    }
    meta = Meta(name=volume_name(claim), annotations={PROVISIONED_BY: NAME}, finalizers=(FINALIZER,))
    return Object("PersistentVolume", meta, {"spec": spec})


class Provisioner:
    """The loop over claims that were handed to us."""

    name = "provisioner"
    watches = {CLAIM: itself}

    def __init__(
        self,
        caches: Mapping[str, Informer],
        claims: Collection,
        volumes: Collection,
        directories: Directories,
        recorder: EventRecorder,
    ) -> None:
        self._claims, self._volumes, self._classes = caches[CLAIM], caches[VOLUME], caches[CLASS]
        self._claim_writer, self._volume_writer = claims, volumes
        self._directories, self._recorder = directories, recorder

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.find(key)
        if claim is None or claim.meta.deleting:
            return
        if claims.is_bound(claim):
            await self._grow(claim)
        elif claim.meta.annotations.get(PROVISIONER) == NAME and not claim.spec.get("volumeName"):
            await self._provision(claim)

    async def _provision(self, claim: Object) -> None:
        cls = self._classes.find(Key("", class_of(claim)))
        if cls is None or self._volume_writer.find(Key("", volume_name(claim))) is not None:
            return
        refusal = refused(claim)
        if refusal:
            self._failed(claim, cls, refusal)
            return
        said = f'External provisioner is provisioning volume for claim "{claim.key}"'
        self._recorder.emit(claim, "Normal", "Provisioning", said)
        try:
            path = await self._directories.make(volume_name(claim))
            await self._volume_writer.create(new_volume(claim, cls, path))
        except AlreadyExists:
            return
        except CloudError as error:
            self._failed(claim, cls, str(error))
            raise
        self._recorder.emit(
            claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {volume_name(claim)}"
        )

    def _failed(self, claim: Object, cls: Object, why: str) -> None:
        said = f'failed to provision volume with StorageClass "{cls.meta.name}": {why}'
        self._recorder.emit(claim, "Warning", "ProvisioningFailed", said)

    async def _grow(self, claim: Object) -> None:
        """First the volume, then what the claim says it has."""
        volume = self._volumes.find(Key("", claim.spec["volumeName"]))
        wanted = claims.requested(claim)
        if volume is None or volume.meta.annotations.get(PROVISIONED_BY) != NAME:
            return
        if wanted <= parse(capacity(claim) or "0"):
            return
        size = {"storage": str(wanted)}
        try:
            await self._volume_writer.change(volume.key, lambda now: now.with_spec(capacity=size))
            await self._claim_writer.change(claim.key, lambda now: now.with_status(capacity=size), "status")
        except NotFound:
            return
        self._recorder.emit(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")


class Reclaimer:
    """The loop over volumes that were made by us: what is released under Delete goes with its directory."""

    name = "reclaimer"
    watches = {VOLUME: itself}

    def __init__(
        self, caches: Mapping[str, Informer], volumes: Collection, directories: Directories, recorder: EventRecorder
    ) -> None:
        self._volumes, self._writer = caches[VOLUME], volumes
        self._directories, self._recorder = directories, recorder

    async def reconcile(self, key: Key) -> None:
        volume = self._volumes.find(key)
        if volume is None or volume.meta.annotations.get(PROVISIONED_BY) != NAME:
            return
        phase, doomed = volume.status.get("phase"), volume.spec.get("persistentVolumeReclaimPolicy") == "Delete"
        if doomed and (phase == "Released" or (volume.meta.deleting and phase != "Bound")):
            await self._empty(volume)
        if volume.meta.deleting and phase != "Bound":
            await self._forget(volume)
        elif doomed and phase == "Released":
            await self._delete(volume)

    async def _empty(self, volume: Object) -> None:
        try:
            await self._directories.remove(volume.meta.name)
        except CloudError as error:
            self._recorder.emit(volume, "Warning", "VolumeFailedDelete", str(error))
            raise

    async def _delete(self, volume: Object) -> None:
        try:
            await self._writer.delete(volume.key, Deletion(uid=volume.meta.uid), missing_ok=True)
        except Conflict:
            return  # another by now

    async def _forget(self, volume: Object) -> None:
        def free(now: Object) -> Object:
            return now.with_meta(finalizers=tuple(name for name in now.meta.finalizers if name != FINALIZER))

        try:
            await self._writer.change(volume.key, free)
        except NotFound:
            return
