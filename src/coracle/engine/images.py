"""Images: what containers are started from; how they come here, and their root file systems.

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

from collections.abc import Sequence
from functools import partial
from typing import Literal

from coracle.core.clock import Clock
from coracle.core.errors import Invalid, Malformed, NotFound, TooLarge, Unavailable, Unsupported
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine.garbage import Garbage
from coracle.engine.imagenames import ImageNames
from coracle.engine.removal import Removed
from coracle.engine.removals import Removals
from coracle.engine.sources import Builder, Source
from coracle.engine.unpacking import unpack
from coracle.engine.volumefiles import telling
from coracle.engine.works import Progress, Step, Works
from coracle.image.blobs import BlobStore
from coracle.image.config import ImageConfig, parse_config
from coracle.image.manifest import parse_platform
from coracle.image.references import Reference, parse_reference
from coracle.image.snapshots.api import Snapshotter
from coracle.image.terms import PLAIN, Terms
from coracle.linux.idmaps import Users

__all__ = ["Builder", "Images", "Policy", "Progress", "Removed", "Source", "Step", "Terms"]

Policy = Literal["IfNotPresent", "Always", "Never"]


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
        self._blobs, self._snapshotter = blobs, snapshotter
        self._sources, self._builder = tuple(sources), builder
        self._works, self._names = Works(), ImageNames(store, clock)
        self._garbage = Garbage(blobs, snapshotter, self._works, self._names.list)
        self.receiving, self.keep_for = self._garbage.receiving, self._garbage.keep_for  # for who brings blobs in
        self._removals = Removals(store, self._names, self._garbage)
        self.tag, self.note_digest = self._names.tag, self._names.note_digest
        self.remove, self.prune, self.in_use = self._removals.remove, self._removals.prune, self._removals.in_use

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, reference: str) -> Object | None:
        """By name, name@digest, id, or the beginning of an id that only one image has.  Raises Malformed."""
        return self._names.find(reference)

    def get(self, reference: str) -> Object:
        """Raises NotFound, Malformed."""
        return self._names.get(reference)

    def list(self) -> Sequence[Object]:
        return self._names.list()

    async def config(self, image: Object) -> ImageConfig:
        """Its whole configuration, history included.  Raises NotFound, Invalid (damaged)."""
        return parse_config(await offload(self._blobs.read, image.spec["id"]))

    async def tags(self, reference: Reference, terms: Terms = PLAIN) -> Sequence[str]:
        """The tags under which the sources have that repository.  Raises Unavailable, Unauthenticated, Forbidden."""
        found: dict[str, None] = {}
        for source in self._sources:
            found.update(dict.fromkeys(await source.tags(reference, terms)))
        return list(found)

    def progress(self, reference: str) -> Sequence[Step]:
        """How far the fetching or building of that name is; empty when nothing is under way."""
        return self._works.steps(str(parse_reference(reference)))

    # -- bringing in ---------------------------------------------------------------------------------------------

    async def ensure(
        self,
        reference: str,
        policy: Policy = "IfNotPresent",
        progress: Progress | None = None,
        terms: Terms = PLAIN,
    ) -> Object:
        """The image of that name, brought here if need be.

        Raises:      Malformed (the name), NotFound (no source knows it), and what the sources raise.
        Concurrency: calls for one name on the same terms share one attempt and its failure; nobody remembers it.
        """
        present = self.find(reference)
        if present is not None and (policy != "Always" or not self._has_remotes()):
            return present
        if policy == "Never":
            raise NotFound(f"image {reference} is not present with pull policy Never", kind="Image", name=reference)
        name = parse_reference(reference)
        work = str(name) if terms == PLAIN else f"{name} {hash(terms)}"
        try:
            return await self._works.share(work, lambda report: self._fetch(name, report, terms), progress)
        finally:
            await self._garbage.collect()

    async def build_from_packages(self, name: str, packages: Sequence[str], progress: Progress | None = None) -> Object:
        """Make an image of that name from a list of packages.  Raises Malformed, Invalid, Unsupported, Unavailable."""
        builder, reference = self._builder, parse_reference(name)
        if builder is None:
            raise Unsupported("this machine's distribution cannot be built from", status=501)

        async def work(report: Progress) -> Object:
            return await self._admit(await builder.build(reference, packages, report), reference, report)

        return await self._works.share(str(reference), work, progress)

    async def admit(
        self, manifest: str, reference: str = "", *, parent: str = "", progress: Progress | None = None
    ) -> Object:
        """Make an image of blobs that are in the blob store: what `docker load` and `docker build` end with.

        Raises: NotFound (a blob), Malformed, Invalid, TooLarge, Exhausted.
        """
        name = parse_reference(reference) if reference else None
        async with self.receiving():
            return await self._admit(manifest, name, progress, parent=parent)

    async def _fetch(self, reference: Reference, report: Progress, terms: Terms) -> Object:
        """Ask the sources, the remote ones first; what is here already is not built again."""
        await self._garbage.begun()
        failure: Unavailable | None = None
        present = self.find(str(reference))
        try:
            for source in sorted(self._sources, key=lambda source: not source.remote):
                if not source.remote and present is not None:
                    break
                try:
                    manifest = await source.fetch(reference, report, terms)
                except Unavailable as error:
                    if not source.remote:
                        raise
                    failure = failure or error
                    continue
                if manifest is not None:
                    return await self._admit(manifest, reference, report, pulled=True)
        except (Invalid, Malformed, TooLarge, NotFound):
            self._garbage.note()  # what of it was good; what broke off is gone on with next time
            raise
        if failure is not None:
            raise failure
        present = self.find(str(reference))
        if present is not None:
            _check_platform(present, reference, terms)
            return present
        raise NotFound(await self._unknown(reference), kind="Image", name=reference.familiar)

    async def _unknown(self, reference: Reference) -> str:
        """What to say where nobody has it; and what to do where only its tag is not known here."""
        said, name = f"no registry and no catalogue entry provides {reference.familiar}", reference.familiar_name
        tags = [tag for source in self._sources if not source.remote for tag in await source.tags(reference)]
        if not tags or reference.digest:
            return said
        there = f"{name}:{tags[0]}"
        give = f"docker pull {there} && docker tag {there} {reference.familiar}"
        return f"{said}; the catalogue has {name} as {', '.join(tags)}; to give one of these that name: {give}"

    async def _admit(
        self,
        digest: str,
        reference: Reference | None,
        report: Progress | None = None,
        *,
        parent: str = "",
        pulled: bool = False,
    ) -> Object:
        unpacked = await offload(unpack, self._blobs, self._snapshotter, digest, report or (lambda *_: None))
        return await self._names.add(unpacked, reference, parent=parent, digest=digest if pulled else "")

    async def prune_unused(self) -> int:
        """Remove every image that no container has and that can be had again: what was built, loaded or committed here
        stays.  Returns the bytes that this freed."""
        done = await self.prune(lambda image: bool(image.spec["digests"]), named=True)
        return sum(removed.freed_bytes for _, removed in done)

    async def collect(self) -> None:
        """Give back the disk space of what nothing uses any more."""
        self._garbage.note()
        await self._garbage.collect()

    def _has_remotes(self) -> bool:
        return any(source.remote for source in self._sources)

    # -- root file systems ---------------------------------------------------------------------------------------

    async def mount(self, image: Object, id: str, read_only: bool = False, users: Users | None = None) -> str:
        """The root file system of snapshot `id` over this image's layers, which belong to `users` where they are given.

        Raises: NotFound (a layer), Unsupported (a file system that ids cannot be mapped of), Exhausted, Broken.
        """
        call = partial(self._snapshotter.mount, id, image.spec["chain_ids"], read_only=read_only, users=users)
        with telling(f"cannot mount the file system of {id}"):
            return str(await offload(call))

    async def unmount(self, id: str) -> None:
        """Take the view away; its changes stay.  Idempotent."""
        await offload(self._snapshotter.unmount, id)

    async def discard(self, id: str) -> None:
        """Forget snapshot `id` with its changes.  Idempotent."""
        await offload(self._snapshotter.remove, id)

    async def adopt(self) -> None:
        """At start: sweep up what the last daemon left half done, or had no time to sweep itself."""
        await offload(self._snapshotter.sweep)
        await offload(self._blobs.sweep)
        await self.collect()


def _check_platform(image: Object, reference: Reference, terms: Terms) -> None:
    if terms.platform is not None and not terms.platform.fits(parse_platform(image.spec["platform"])):
        said = f"no matching manifest for {terms.platform} in the manifest list entries: {reference.familiar} is here"
        raise NotFound(f"{said} for {image.spec['platform']}", kind="Image", name=reference.familiar)
