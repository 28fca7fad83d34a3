"""The cluster's own provisioner: volumes that are directories of this machine, or files shown as block devices.

A claim that was handed to it gets a volume of the size that it asks for; a directory's size is said, not enforced.
One that names another claim gets a copy of what that one's volume holds.

Source: Kubernetes documentation, "Dynamic Volume Provisioning"; the external provisioner's events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, CloudError
from coracle.core.informer import Index, Informer
from coracle.core.loop import ToKeys
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.controllers.storage.claims import CLAIM, CLASS, VOLUME
from coracle.kube.controllers.storage.cloning import NoSource, original, source_name, unknown_kind
from coracle.kube.controllers.storage.contents import FINALIZER, NAME, Directories, is_block, volume_name
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds import storageclass
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagerules import (
    BIND_OPTIONS,
    DEFAULT_CLASS,
    PROVISIONED_BY,
    PROVISIONER,
    class_of,
    default_class,
)

STANDARD = "standard"


def _copy_of(claim: Object) -> Iterable[str]:
    name = source_name(claim)
    return (f"{claim.meta.namespace}/{name}",) if name and not claim.spec.get("volumeName") else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {CLAIM: {"copies": _copy_of}}


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


def refused(claim: Object, cls: Object) -> str:
    """Why nothing here will do; "": something will."""
    if claim.spec.get("selector"):
        return "claim Selector is not supported"
    attributes = claim.spec.get("volumeAttributesClassName")
    if attributes:
        return f"VolumeAttributesClass {attributes}: this provisioner knows no attributes of volumes"
    unknown = [one for one in cls.body.get("mountOptions") or () if one not in BIND_OPTIONS]
    return f"mount options of directories do not include {', '.join(unknown)}" if unknown else ""


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
        "hostPath": {"path": path, "type": "File" if is_block(claim) else "Directory"},
        "persistentVolumeReclaimPolicy": cls.body.get("reclaimPolicy") or "Delete",
        "storageClassName": cls.meta.name,
        "volumeMode": claim.spec.get("volumeMode"),
    }
    if cls.body.get("mountOptions"):
        spec["mountOptions"] = cls.body["mountOptions"]
    if cls.body.get("allowedTopologies"):
        terms = [_node_term(term) for term in cls.body["allowedTopologies"]]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    meta = Meta(name=volume_name(claim), annotations={PROVISIONED_BY: NAME}, finalizers=(FINALIZER,))
    return Object("PersistentVolume", meta, {"spec": spec})


def _node_term(term: Json) -> Json:
    """A topology selector term, as one for nodes."""
    return {"matchExpressions": [{**need, "operator": "In"} for need in term.get("matchLabelExpressions") or ()]}


class Provisioner:
    """The loop over claims that were handed to us."""

    name = "provisioner"

    def __init__(
        self,
        caches: Mapping[str, Informer],
        volumes: Collection,
        directories: Directories,
        recorder: EventRecorder,
    ) -> None:
        self._claims, self._volumes, self._classes = caches[CLAIM], caches[VOLUME], caches[CLASS]
        self._volume_writer = volumes
        self._directories, self._recorder = directories, recorder
        self.watches: Mapping[str, ToKeys] = {CLAIM: self._and_copies}

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.find(key)
        if claim is None or claim.meta.deleting or claim.spec.get("volumeName"):
            return
        cls = self._classes.find(Key("", class_of(claim)))
        if cls is None or claim.meta.annotations.get(PROVISIONER) != NAME:
            return
        if unknown_kind(claim):
            said = "The datasource for this PVC does not match any registered VolumePopulator"
            self._recorder.emit(claim, "Warning", "UnrecognizedDataSourceKind", said)
        elif self._volume_writer.find(Key("", volume_name(claim))) is None:
            await self._provision(claim, cls)

    def _and_copies(self, event: Event) -> Iterable[Key]:
        """The claim, and those that are to be copies of it."""
        key = event.entry.key
        return {key, *self._claims.keys_by("copies", str(key))}

    async def _provision(self, claim: Object, cls: Object) -> None:
        refusal = refused(claim, cls)
        if refusal:
            self._failed(claim, cls, refusal)
            return
        said = f'External provisioner is provisioning volume for claim "{claim.key}"'
        self._recorder.emit(claim, "Normal", "Provisioning", said)
        try:
            path = await self._contents(claim)
            await self._volume_writer.create(new_volume(claim, cls, path))
        except AlreadyExists:
            return
        except NoSource as error:
            self._failed(claim, cls, str(error))
            return  # its source brings it back
        except CloudError as error:
            self._failed(claim, cls, str(error))
            raise
        said = f"Successfully provisioned volume {volume_name(claim)}"
        self._recorder.emit(claim, "Normal", "ProvisioningSucceeded", said)

    async def _contents(self, claim: Object) -> str:
        """The path of what the volume holds.  Raises NoSource, CloudError."""
        name, wanted = volume_name(claim), source_name(claim)
        copied = self._original(claim, wanted) if wanted else None
        path = await self._make(claim)
        if copied is None:
            return path
        try:
            await self._directories.copy(copied.spec["hostPath"]["path"], name)
            return await self._make(claim)  # a block device is as large as was asked for, not as its original
        except CloudError:
            await self._directories.remove(name)  # half a copy is none
            raise

    async def _make(self, claim: Object) -> str:
        name = volume_name(claim)
        if is_block(claim):
            return await self._directories.make_block(name, claims.requested(claim).whole)
        return await self._directories.make(name)

    def _original(self, claim: Object, name: str) -> Object:
        source = self._claims.find(Key(claim.meta.namespace, name))
        bound_to = (source.spec.get("volumeName") if source is not None else "") or ""
        return original(claim, source, self._volumes.find(Key("", bound_to)))

    def _failed(self, claim: Object, cls: Object, why: str) -> None:
        said = f'failed to provision volume with StorageClass "{cls.meta.name}": {why}'
        self._recorder.emit(claim, "Warning", "ProvisioningFailed", said)
