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
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

from coracle.core import claims
from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection as Records
from coracle.core.errors import Conflict, Invalid, Malformed, NotFound, TooLarge, Unavailable, Unsupported
from coracle.core.object import Key, Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine.garbage import Garbage
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import image as images
from coracle.engine.removal import Removed, User, held, lone_layers, plan_removal
from coracle.engine.sources import Builder, Source
from coracle.engine.unpacking import unpack
from coracle.engine.works import Progress, Step, Works
from coracle.image.blobs import BlobStore
from coracle.image.config import ImageConfig, parse_config
from coracle.image.manifest import parse_platform
from coracle.image.references import Reference, parse_reference
from coracle.image.snapshots.api import Snapshotter
from coracle.image.terms import PLAIN, Terms

__all__ = ["Builder", "Images", "Policy", "Progress", "Removed", "Source", "Step", "Terms"]

Policy = Literal["IfNotPresent", "Always", "Never"]

_HEX = re.compile(r"(sha256:)?[0-9a-f]{1,64}")


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
        self._store, self._clock = store, clock
        self._blobs, self._snapshotter = blobs, snapshotter
        self._sources, self._builder = tuple(sources), builder
        self._records = Records(images.KIND, store, clock)
        self._works = Works()
        self._naming = asyncio.Lock()  # what a removal has planned does not change under it
        self._users: Counter[str] = Counter()  # ids of images that a container is being made of
        self._garbage = Garbage(blobs, snapshotter, self._works, self.list)
        self.receiving, self.keep_for = self._garbage.receiving, self._garbage.keep_for  # for who brings blobs in

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
            name = reference if _HEX.fullmatch(reference) else parse_reference(reference).familiar
            raise NotFound(kind="Image", name=name)
        return found

    def list(self) -> Sequence[Object]:
        return self._records.list()

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
        said = f"no registry and no catalogue entry provides {reference.familiar}"
        raise NotFound(said, kind="Image", name=reference.familiar)

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
        key = images.key(unpacked.manifest.config.digest)
        async with self._naming:
            present = self._records.find(key)
            new = images.to_record(unpacked, parent) if present is None else None
            if reference is not None:
                return await self._name(key, reference, digest if pulled else "", new=new)
            return present or await self._records.create(images.to_record(unpacked, parent))

    # -- names and removal ---------------------------------------------------------------------------------------

    async def tag(self, source: str, target: str) -> Object:
        """Give an image one more name, taking it from whoever had it.  Raises NotFound, Malformed."""
        name = parse_reference(target)
        if name.digest:
            raise Malformed("refusing to create a tag with a digest reference")
        async with self._naming:
            return await self._name(self.get(source).key, name)

    async def note_digest(self, reference: str, digest: str) -> None:
        """A registry has the image of that name under this manifest now."""
        name = parse_reference(reference)
        async with self._naming:
            await self._name(self.get(reference).key, name, digest)

    async def _name(self, key: Key, name: Reference, digest: str = "", *, new: Object | None = None) -> Object:
        """One commit takes the name from whoever had it and gives it to `key`; with the naming lock held.

        `new`: the record of `key` where it has none yet.
        """
        at = rfc3339(self._clock.now_s())
        changed: dict[Key, Callable[[Object], Object]] = {}
        loser = self._find_named(str(name)) if not name.digest else None
        if loser is not None and loser.key != key:
            changed[loser.key] = lambda now: images.without(now, [name.familiar])
        if new is not None:
            return (await self._records.write([images.with_name(new, name, at, digest=digest)], changed))[0]
        changed[key] = lambda now: images.with_name(now, name, at, digest=digest)
        return (await self._records.write(changed=changed))[-1]

    async def remove(self, reference: str, force: bool = False, *, prune: bool = True) -> Removed:
        """Take a name away; with the last one, or by id, the image goes; with `prune` its nameless parents too.

        Raises: NotFound, Malformed; Conflict (see engine.removal).
        """
        async with self._naming:
            image = self.get(reference)
            name = "" if self._find_named(reference) is None else parse_reference(reference).familiar
            present = {one.spec["id"]: one for one in self.list()}
            views = {id: held(one) for id, one in present.items()}
            plan = plan_removal(views, self._users_of_images(), image.spec["id"], name, force=force, prune=prune)
            self._refuse_busy(plan.deleted)
            changed = {images.key(id): partial(_keeping, names=names) for id, names in plan.left.items()}
            await self._records.write(changed=changed, gone=[images.key(id) for id in plan.deleted])
        layers, freed_bytes = lone_layers(present, plan.deleted)
        if plan.deleted:
            self._garbage.note()
        await self._garbage.collect()
        return Removed((*plan.records, *(("deleted", layer) for layer in layers)), freed_bytes)

    async def prune(self, wanted: Callable[[Object], bool], *, named: bool) -> Sequence[tuple[Object, Removed]]:
        """Remove the images without tags that nobody uses and `wanted` accepts; `named`: those with tags too."""
        parents = {image.spec["parent"] for image in self.list()}
        done = []
        for image in self.list():
            names = (*image.spec["references"], *image.spec["digests"])
            is_inner = not names and image.spec["id"] in parents
            if is_inner or (image.spec["references"] and not named) or not wanted(image):
                continue
            for name in names or (image.spec["id"],):
                with contextlib.suppress(Conflict, NotFound):  # a container has it; it went with another name
                    done.append((image, await self.remove(name)))
        return done

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

    def _users_of_images(self) -> Sequence[User]:
        found = [entry.object() for entry in self._store.entries(containers.TYPE)]
        return [User(one.spec["image_id"], one.meta.name, one.status["state"] == "running") for one in found]

    def _refuse_busy(self, ids: Sequence[str]) -> None:
        for id in ids:
            if self._users[id]:
                short = id.removeprefix("sha256:")[:12]
                said = f"conflict: unable to delete {short} (cannot be forced) - a container of it is being created"
                raise Conflict(said, kind="Image", name=id)

    async def collect(self) -> None:
        """Give back the disk space of what nothing uses any more."""
        self._garbage.note()
        await self._garbage.collect()

    def _find_named(self, text: str) -> Object | None:
        if _HEX.fullmatch(text) and (text.startswith("sha256:") or len(text) == 64):
            return None
        reference = parse_reference(text)
        if reference.digest:
            whole = f"{reference.familiar_name}@{reference.digest}"
            return next((image for image in self.list() if whole in image.spec["digests"]), None)
        entry = self._store.find(claims.TYPE, Key("", images.name_claim(str(reference))))
        return self._records.find(Key("", str(entry.object().body["holder"]).rpartition(" ")[2])) if entry else None

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
        """At start: sweep up what the last daemon left half done, or had no time to sweep itself."""
        await offload(self._snapshotter.sweep)
        await offload(self._blobs.sweep)
        await self.collect()


def _check_platform(image: Object, reference: Reference, terms: Terms) -> None:
    if terms.platform is not None and not terms.platform.fits(parse_platform(image.spec["platform"])):
        said = f"no matching manifest for {terms.platform} in the manifest list entries: {reference.familiar} is here"
        raise NotFound(f"{said} for {image.spec['platform']}", kind="Image", name=reference.familiar)


def _keeping(image: Object, names: Sequence[str]) -> Object:
    gone = {*image.spec["references"], *image.spec["digests"]} - {*names}
    return images.without(image, gone)
