"""Images: what containers are started from.  The only writer of Image records.

Called by the kubelet, Docker's handlers and `containers`; calls the blob store, the snapshotter and the sources.
A name is looked for in this order, and the first place that knows it has the say:

    1. the local store                  2. sources that ask elsewhere (registries)      3. sources on this machine
       "Never" stops here                  "Always" begins here                            (the catalogue: built on
                                                                                           first use)

What was built on this machine is always the newest of itself, so "Always" asks the remote sources only, and where none
of them knows the name, the local store has it after all.

A record is committed when everything is unpacked; what a broken-off attempt leaves is swept at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from coracle.core import claims
from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import Conflict, Invalid, NotFound, Unsupported
from coracle.core.object import Key, Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import image as images
from coracle.engine.sources import Builder, Source
from coracle.engine.works import Progress, Step, Works
from coracle.image.blobs import BlobStore
from coracle.image.config import ImageConfig, parse_config
from coracle.image.digests import chain_ids
from coracle.image.manifest import Index, Manifest, compression_of, parse_manifest
from coracle.image.references import Reference, parse_reference
from coracle.image.snapshots.api import Layer, Snapshotter

__all__ = ["Builder", "Images", "Policy", "Progress", "Removed", "Source", "Step"]

Policy = Literal["IfNotPresent", "Always", "Never"]

_HEX = re.compile(r"(sha256:)?[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did, as Docker tells it: names taken away, ids of images gone."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


class Images:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        blobs: BlobStore,
        snapshotter: Snapshotter,
        sources: Sequence[Source] = (),
        *,
        builder: Builder | None = None,
    ) -> None:
        self._store, self._blobs, self._snapshotter = store, blobs, snapshotter
        self._sources, self._builder = tuple(sources), builder
        self._records = Collection(images.KIND, store, clock)
        self._works = Works()
        self._naming = asyncio.Lock()  # a name moves from image to image in two commits
        self._users: Counter[str] = Counter()  # ids of images that a container is being made of
        self._has_garbage = False

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, reference: str) -> Object | None:
        """By name, name@digest, id, or the beginning of an id that only one image has.  Raises Malformed."""
        named = self._find_named(reference)
        if named is not None or not _HEX.fullmatch(reference):
            return named
        start = reference.removeprefix("sha256:")
        whole = self._records.find(images.key(start))
        if whole is not None:
            return whole
        found = [e for e in self._store.entries(images.TYPE) if e.key.name.startswith(start)]
        return found[0].object() if len(found) == 1 else None

    def get(self, reference: str) -> Object:
        """Raises NotFound, Malformed."""
        found = self.find(reference)
        if found is None:
            raise NotFound(f"no such image: {reference}", kind="Image", name=reference)
        return found

    def list(self) -> Sequence[Object]:
        return self._records.list()

    def progress(self, reference: str) -> Sequence[Step]:
        """How far the fetching or building of that name is; empty when nothing is under way."""
        return self._works.steps(str(parse_reference(reference)))

    # -- bringing in ---------------------------------------------------------------------------------------------

    async def ensure(self, reference: str, policy: Policy = "IfNotPresent", progress: Progress | None = None) -> Object:
        """The image of that name, brought here if need be.

        Raises:      Malformed (the name), NotFound (no source knows it), and what the sources raise.
        Concurrency: calls for one name share one attempt and its failure; nobody remembers a failure.
        """
        present = self.find(reference)
        if present is not None and (policy != "Always" or not self._has_remotes()):
            return present
        if policy == "Never":
            raise NotFound(f"image {reference} is not present with pull policy Never", kind="Image", name=reference)
        name = parse_reference(reference)
        return await self._works.share(
            str(name), lambda report: self._fetch(name, report, local=present is None), progress
        )

    async def build_from_packages(self, name: str, packages: Sequence[str], progress: Progress | None = None) -> Object:
        """Make an image of that name from a list of packages.  Raises Malformed, Invalid, Unsupported, Unavailable."""
        builder, reference = self._builder, parse_reference(name)
        if builder is None:
            raise Unsupported("this machine's distribution cannot be built from", status=501)

        async def work(report: Progress) -> Object:
            return await self._admit(await builder.build(reference, packages, report), reference)

        return await self._works.share(str(reference), work, progress)

    async def admit(self, manifest: str, reference: str = "") -> Object:
        """Make an image of blobs that are in the blob store: what `docker load` and `docker build` end with.

        Raises: NotFound (a blob), Malformed, Invalid, Exhausted.
        """
        with self._works.busy():
            return await self._admit(manifest, parse_reference(reference) if reference else None)

    async def _fetch(self, reference: Reference, report: Progress, *, local: bool) -> Object:
        for source in sorted(self._sources, key=lambda source: not source.remote):
            if not source.remote and not local:
                break
            manifest = await source.fetch(reference, report)
            if manifest is not None:
                return await self._admit(manifest, reference)
        present = self.find(str(reference))
        if present is not None:
            return present
        said = f"no registry and no catalogue entry provides {reference.familiar}"
        raise NotFound(said, kind="Image", name=reference.familiar)

    async def _admit(self, digest: str, reference: Reference | None) -> Object:
        manifest, config = await offload(self._unpack, digest)
        async with self._naming:
            key = images.key(manifest.config.digest)
            names = [reference] if reference else []
            for name in names:
                await self._untag(str(name), but=key)
            if self._records.find(key) is None:
                return await self._records.create(images.to_record(digest, manifest, config, names))
            return await self._records.change(key, lambda now: images.with_names(now, digest, names))

    def _unpack(self, digest: str) -> tuple[Manifest, ImageConfig]:
        """Unpack what is not yet; blocks."""
        manifest = parse_manifest(self._blobs.read(digest))
        if isinstance(manifest, Index):
            raise Invalid(message=f"{digest} is an index, not a manifest", kind="Image", name=digest)
        config = parse_config(self._blobs.read(manifest.config.digest))
        chain = chain_ids(config.diff_ids)
        if len(manifest.layers) != len(chain):
            raise Invalid(message=f"manifest lists {len(manifest.layers)} layers, its configuration {len(chain)}")
        for i, layer in enumerate(manifest.layers):
            packed: Any = compression_of(layer)
            self._snapshotter.unpack(Layer(chain[: i + 1], config.diff_ids[i], self._blobs.path(layer.digest), packed))
        return manifest, config

    # -- names and removal ---------------------------------------------------------------------------------------

    async def tag(self, source: str, target: str) -> Object:
        """Give an image one more name, taking it from whoever had it.  Raises NotFound, Malformed."""
        name = parse_reference(target)
        async with self._naming:
            key = self.get(source).key
            await self._untag(str(name), but=key)
            return await self._records.change(key, lambda now: images.with_names(now, "", [name]))

    async def remove(self, reference: str, force: bool = False) -> Removed:
        """Take a name away; with the last one, or by id, the image goes.

        Raises: NotFound, Malformed; Conflict where a container uses the image (`force` only helps against stopped ones)
                or, by id, where it has several names (`force` takes them all).
        """
        async with self._naming:
            image = self.get(reference)
            named = self._find_named(reference)
            if named is not None and len(image.spec["references"]) > 1:
                name = parse_reference(reference).familiar
                if name in image.spec["references"]:
                    await self._untag(reference)
                    return Removed(untagged=(name,))
            self._refuse_removal(image, named=named is not None, force=force)
            await self._records.delete(image.key, missing_ok=True)
        self._has_garbage = True
        await self._collect()
        return Removed(tuple(image.spec["references"]), (image.spec["id"],))

    @contextlib.contextmanager
    def in_use(self, image: Object) -> Iterator[None]:
        """While a container of this image is being journaled, it is not removed."""
        id = image.spec["id"]
        self._users[id] += 1
        try:
            yield
        finally:
            self._users[id] -= 1
            if not self._users[id]:
                del self._users[id]

    def _refuse_removal(self, image: Object, *, named: bool, force: bool) -> None:
        id, short = image.spec["id"], image.meta.name[:12]
        if not named and not force and len(image.spec["references"]) > 1:
            said = f"image {short} has several names: {', '.join(image.spec['references'])}"
            raise Conflict(said, kind="Image", name=id)
        users = [e.object() for e in self._store.entries(containers.TYPE)]
        for user in (user for user in users if user.spec["image_id"] == id):
            state = user.status["state"]
            if state == "running" or not force:
                said = f"image {short} is used by {state} container {user.spec['name']} ({user.meta.name[:12]})"
                raise Conflict(said, kind="Image", name=id)
        if self._users[id]:
            raise Conflict(f"image {short} is used by a container that is being created", kind="Image", name=id)

    async def _collect(self) -> None:
        """Give back the disk space of images that are gone, unless something is on its way in just now."""
        if not self._has_garbage or not self._works.idle:
            return  # the next removal does it
        self._has_garbage = False
        records = self.list()
        chains = {one for image in records for one in image.spec["chain_ids"]}
        kept = {one for image in records for one in image.spec["blobs"]}
        with self._works.busy():
            await offload(self._snapshotter.collect, chains)
            await offload(self._drop_blobs, kept)

    def _drop_blobs(self, kept: set[str]) -> None:
        for blob in list(self._blobs.list()):
            if blob.digest not in kept:
                self._blobs.delete(blob.digest)

    def _find_named(self, text: str) -> Object | None:
        if _HEX.fullmatch(text) and (text.startswith("sha256:") or len(text) == 64):
            return None
        reference = parse_reference(text)
        if reference.digest:
            whole = f"{reference.familiar_name}@{reference.digest}"
            return next((image for image in self.list() if whole in image.spec["digests"]), None)
        entry = self._store.find(claims.TYPE, Key("", images.name_claim(str(reference))))
        return self._records.find(Key("", str(entry.object().body["holder"]).rpartition(" ")[2])) if entry else None

    async def _untag(self, reference: str, but: Key | None = None) -> None:
        image, name = self._find_named(reference), parse_reference(reference).familiar
        if image is not None and image.key != but and name in image.spec["references"]:
            await self._records.change(
                image.key, lambda now: now.with_spec(references=[n for n in now.spec["references"] if n != name])
            )

    def _has_remotes(self) -> bool:
        return any(source.remote for source in self._sources)

    # -- root file systems ---------------------------------------------------------------------------------------

    async def mount(self, image: Object, id: str, read_only: bool = False) -> str:
        """The root file system of snapshot `id` over this image's layers.  Raises NotFound (a layer), Broken."""
        call = partial(self._snapshotter.mount, id, image.spec["chain_ids"], read_only=read_only)
        return str(await offload(call))

    async def unmount(self, id: str) -> None:
        """Take the view away; its changes stay.  Idempotent."""
        await offload(self._snapshotter.unmount, id)

    async def discard(self, id: str) -> None:
        """Forget snapshot `id` with its changes.  Idempotent."""
        await offload(self._snapshotter.remove, id)

    async def adopt(self) -> None:
        """At start: sweep up what the last daemon left half done."""
        await offload(self._snapshotter.sweep)
        await offload(self._blobs.sweep)
