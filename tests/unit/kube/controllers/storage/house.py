"""Claims, volumes and classes as users write them, and a stage with storage's loops."""

from __future__ import annotations

from coracle.core.errors import Broken
from coracle.core.object import Meta, Object
from coracle.kube.controllers.storage import parts
from coracle.kube.kinds import persistentvolume, persistentvolumeclaim, storageclass
from coracle.testing.kube import Stage


def a_claim(name="data", size="1Gi", modes=("ReadWriteOnce",), annotations=None, **spec):
    asked = {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, **spec}
    meta = Meta(name=name, namespace="default", uid=f"uid-{name}", annotations=annotations or {})
    return persistentvolumeclaim.default(Object("PersistentVolumeClaim", meta, {"spec": asked}))


def a_volume(name="disk", size="1Gi", modes=("ReadWriteOnce",), phase="Available", **more):
    labels, annotations = more.pop("labels", {}), more.pop("annotations", {})
    said = {"accessModes": list(modes), "capacity": {"storage": size}, "hostPath": {"path": "/x"}, **more}
    body = {"spec": said, "status": {"phase": phase}}
    return persistentvolume.default(
        Object("PersistentVolume", Meta(name=name, labels=labels, annotations=annotations), body)
    )


def a_class(name="fast", provisioner="example.org/disks", annotations=None, **body):
    meta = Meta(name=name, annotations=annotations or {})
    return storageclass.default(Object("StorageClass", meta, {"provisioner": provisioner, **body}, storageclass.API))


def for_claim(claim, uid=True):
    """A claimRef."""
    ref = {"kind": "PersistentVolumeClaim", "name": claim.meta.name, "namespace": claim.meta.namespace}
    return ref | ({"uid": claim.meta.uid} if uid else {})


class Shelf:
    """Directories and block devices in memory; and what was done to the host's."""

    def __init__(self):
        self.names, self.sizes, self.copies = set(), {}, {}
        self.scrubbed, self.removed = [], []
        self.broken = ""

    async def make_block(self, name, size_bytes):
        if self.broken:
            raise Broken(self.broken)
        self.names.add(name)
        self.sizes[name] = max(size_bytes, self.sizes.get(name, 0))
        return f"/shelf/{name}"

    async def copy(self, source_path, name):
        self.copies[name] = source_path

    async def scrub(self, path):
        self.scrubbed.append(path)

    async def remove_path(self, path):
        self.removed.append(path)

    async def make(self, name):
        self.names.add(name)
        return f"/shelf/{name}"

    async def empty(self):
        return sorted(self.names)

    async def remove(self, name):
        self.names.discard(name)


class Storage(Stage):
    """A cluster with storage's loops and nothing else."""

    def __init__(self):
        super().__init__(parts.INDEXES)
        self.shelf = Shelf()
        writers = {collection.kind.type: collection for collection in self.collections.values()}
        for loop in parts.loops(self.caches, writers, self.shelf, self.recorder, self.clock):
            self.run(loop)

    def phases(self, kind):
        return {one.meta.name: one.status.get("phase") for one in self[kind].list()}
