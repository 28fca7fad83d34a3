"""Builds: from a request and a context to an image.  Called by Docker's `POST /build`.

    stages run at once where they do not wait for each other  ->  the outcome's blobs  ->  images.admit  ->  its names

Whatever way a build ends, cancelled or with the daemon: steps that were done stay in the cache, and nothing else is
left.  All of a build's own files are in `<root>/builds/<its id>`, swept at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Invalid, NotFound
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine.builds import state as states
from coracle.engine.builds.arguments import Arguments, platform_arguments
from coracle.engine.builds.cache import Cache, layer_bytes
from coracle.engine.builds.context import Context, drop, read_dockerfile, unpack_context
from coracle.engine.builds.layers import LayerMaker, Stack
from coracle.engine.builds.mounting import Caches
from coracle.engine.builds.plan import Plan, PlannedStage, make_plan
from coracle.engine.builds.request import BuildRequest, Say
from coracle.engine.builds.running import Runner
from coracle.engine.builds.stages import Outcome, Site, StageRunner
from coracle.engine.builds.state import State
from coracle.engine.builds.transcript import Channel, Transcript
from coracle.engine.containers import Containers
from coracle.engine.images import Images, Policy
from coracle.engine.sandboxes import Sandboxes
from coracle.image.blobs import BlobStore
from coracle.image.digests import digest_of
from coracle.image.manifest import Index, Platform, host_platform, parse_manifest, parse_platform
from coracle.image.references import parse_reference
from coracle.image.terms import NOBODY, Terms


@dataclass(frozen=True, slots=True)
class Ground:
    """What a build works on: its files, and a directory of its own."""

    context: Context
    scratch: Path

    async def dockerfile(self, name: str = "") -> bytes:
        """Raises Malformed, Invalid: see read_dockerfile."""
        return await offload(read_dockerfile, self.context, name)


class Builds:
    """`root_path` keeps what builds need while they run, and the caches of RUN --mount."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        images: Images,
        containers: Containers,
        sandboxes: Sandboxes,
        *,
        blobs: BlobStore,
        snapshotter: Stack,
        root_path: str,
    ) -> None:
        self._clock, self._images, self._blobs = clock, images, blobs
        self._layers = LayerMaker(snapshotter, blobs)
        self._runner = Runner(containers, sandboxes, self._layers)
        self._containers, self._sandboxes = containers, sandboxes
        self._root = Path(root_path) / "builds"
        self.cache = Cache(store, clock, self._layers)
        images.keep_for(self.cache.held)
        self.mount_caches = Caches(Path(root_path) / "build-caches")

    async def adopt(self) -> None:
        """At start: what builds left when the last daemon died goes.  After the containers are up."""
        for record in self._containers.list():
            if record.spec.get("owner") == "build":
                await self._containers.remove(record.meta.name, force=True)
                await self._sandboxes.remove(record.meta.name)
        await self._layers.sweep()
        await offload(drop, self._root)

    @contextlib.asynccontextmanager
    async def ground(self, archive: BinaryIO | None) -> AsyncIterator[Ground]:
        """A build's files, from a tar that may be packed; gone afterwards.  Raises Invalid, TooLarge, Exhausted."""
        home = self._root / secrets.token_hex(12)
        try:
            await offload(partial(home.mkdir, mode=0o711, parents=True, exist_ok=True))
            if archive is not None:
                context = await offload(unpack_context, archive, home / "context")
            else:
                await offload(partial((home / "context").mkdir, mode=0o700))
                context = Context(home / "context")
            yield Ground(context, home / "scratch")
        finally:
            await offload(partial(shutil.rmtree, home, ignore_errors=True))

    @contextlib.contextmanager
    def spool(self, memory_bytes: int) -> Iterator[BinaryIO]:
        """A file for what arrives before a build, in memory up to a size."""
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(memory_bytes, dir=str(self._root)) as file:
            yield cast("BinaryIO", file)

    @contextlib.contextmanager
    def shelf(self) -> Iterator[Path]:
        """A directory for what is fetched before a build; gone afterwards."""
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._root) as home:
            yield Path(home)

    async def build(self, request: BuildRequest, ground: Ground, say: Say) -> str:
        """Build; the id of the image.  `say` is told the transcript, piece by piece.

        Raises: Malformed, Invalid (StepFailed where a program failed), NotFound (an image), and what the engine raises.
        """
        for tag in request.tags:
            parse_reference(tag)
        arguments = Arguments(
            request.build_args,
            platform_arguments(host_platform(), request.platform),
            request.dockerfile.arguments,
        )
        plan = make_plan(request.dockerfile, arguments.globals, request.target, extra_steps=len(request.labels))
        async with self._images.receiving():
            outcome = await _Build(self, request, ground, plan, arguments).run(say)
            unused = arguments.unused()
            if unused:
                await say(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed\n")
            await self._finish(outcome.state, request)
        if await self.cache.shrink():
            await self._images.collect()
        return outcome.state.id

    async def _finish(self, state: State, request: BuildRequest) -> Object:
        if not state.id:
            raise Invalid(message="No image was generated. Is your Dockerfile empty?")
        image = self._images.find(state.id) or await self.admit(state)
        for tag in request.tags:
            image = await self._images.tag(state.id, tag)
        return image

    async def admit(self, state: State) -> Object:
        """An image record for a state."""
        return await self._images.admit(await offload(self._put, state))

    def _put(self, state: State) -> str:
        self._blobs.put(state.raw, digest=state.id)
        return self._blobs.put(state.manifest.encode()).digest

    async def prune(
        self, records: Sequence[Object], *, keep_bytes: int = 0, mounts: bool = True
    ) -> tuple[list[str], int]:
        """Forget these steps but for the last used `keep_bytes`, and with `mounts` what RUN --mount has cached.

        Returns the names of the forgotten, and how many bytes came free.
        """
        kept, doomed = 0, []
        for record in reversed(records):
            kept += int(record.spec["size_bytes"])
            if kept > keep_bytes or not keep_bytes:
                doomed.append(record)
        held = self.layers_of_images()
        left = {record.meta.name for record in self.cache.list()} - {record.meta.name for record in doomed}
        await self.cache.remove(doomed)
        still = {digest for record in self.cache.list() if record.meta.name in left for digest in _digests(record)}
        own = layer_bytes(doomed)
        freed = sum(size for digest, size in own.items() if digest not in held and digest not in still)
        freed += await self.mount_caches.drop() if mounts else 0
        await self._images.collect()
        return [record.meta.name for record in doomed], freed

    def layers_of_images(self) -> set[str]:
        """Digests of all blobs that images hold."""
        return {digest for image in self._images.list() for digest in image.spec["blobs"]}


class _Build:
    """One build while it runs."""

    def __init__(self, builds: Builds, request: BuildRequest, ground: Ground, plan: Plan, arguments: Arguments) -> None:
        self._builds, self._request, self._plan = builds, request, plan
        self._site = Site(
            request=request,
            plan=plan,
            arguments=arguments,
            context=ground.context,
            scratch=ground.scratch,
            clock=builds._clock,
            cache=builds.cache,
            layers=builds._layers,
            runner=builds._runner,
            mount_caches=builds.mount_caches,
            base=self._base,
            image_of=self._image_of,
            stage=self._stage,
        )
        self._stages: dict[int, asyncio.Task[Outcome]] = {}
        self._bases: dict[tuple[str, str], Outcome] = {}
        self._lent: list[str] = []  # images that are there for containers only
        self._held = contextlib.ExitStack()

    async def run(self, say: Say) -> Outcome:
        transcript = Transcript(say)
        try:
            with self._held:
                async with asyncio.TaskGroup() as group:
                    self._start = partial(self._start_stage, group, transcript)
                    for index in self._plan.stages:
                        transcript.open(index)
                    await transcript.advance()
                    for index in self._plan.stages:
                        self._start(index)
                return self._stages[self._plan.target].result()
        except BaseExceptionGroup as several:
            raise _first(several) from several
        finally:
            await self._builds.cache.commit(self._site.steps)
            for id in self._lent:
                await self._builds._images.remove(id, force=True)

    _start: Callable[[int], asyncio.Task[Outcome]]

    def _start_stage(self, group: asyncio.TaskGroup, transcript: Transcript, index: int) -> asyncio.Task[Outcome]:
        if index not in self._stages:
            self._stages[index] = group.create_task(
                self._run_stage(index, transcript.open(index)), name=f"stage {index}"
            )
        return self._stages[index]

    async def _run_stage(self, index: int, channel: Channel) -> Outcome:
        try:
            outcome = await StageRunner(self._site, self._planned(index), channel).run()
        except CloudError:
            await channel.release()
            raise
        await channel.close()
        return outcome

    def _planned(self, index: int) -> PlannedStage:
        found = self._plan.stages.get(index)
        if found is None:  # one that only a trigger asks for
            raise Invalid(message=f"stage {index} is not part of this build")
        return found

    async def _stage(self, index: int) -> Outcome:
        """What a stage makes, once it has."""
        return await _joined(self._start(index))

    async def _base(self, name: str, platform: Platform, channel: Channel) -> Outcome:
        key = (name, str(platform))
        if key not in self._bases:
            image = await self._fetch(name, platform, channel)
            self._held.enter_context(self._builds._images.in_use(image))
            self._bases[key] = Outcome(await offload(self._read, image), image.spec["id"])
        return self._bases[key]

    async def _fetch(self, name: str, platform: Platform, channel: Channel) -> Object:
        images, request = self._builds._images, self._request
        here = images.find(name)
        if here is not None and not request.pull and platform.fits(parse_platform(here.spec["platform"])):
            return here
        reference = parse_reference(name)
        terms = Terms(request.logins.get(reference.registry, NOBODY), None if platform == host_platform() else platform)
        policy: Policy = "IfNotPresent" if here is None else "Always"
        found = await images.ensure(name, policy, request.fetching(reference.familiar), terms)
        if not platform.fits(parse_platform(found.spec["platform"])):
            raise NotFound(f"no image {reference.familiar} for platform {platform}", kind="Image", name=name)
        return found

    def _read(self, image: Object) -> State:
        manifest = parse_manifest(self._builds._blobs.read(image.spec["manifest"]))
        if isinstance(manifest, Index):
            raise Invalid(message="an index is no image")
        return states.from_image(self._builds._blobs.read(image.spec["id"]), manifest)

    async def _image_of(self, state: State) -> str:
        here = self._builds._images.find(state.id) if state.id else None
        if here is None:
            here = await self._builds.admit(replace(state, id=digest_of(state.raw)))
            self._lent.append(here.spec["id"])
        return str(here.spec["id"])


async def _joined(task: asyncio.Task[Outcome]) -> Outcome:
    """Its result; waiting for it may be cancelled without it."""
    await asyncio.wait([task])
    return task.result()


def _digests(record: Object) -> list[str]:
    return [layer["digest"] for layer in record.spec["layers"]]


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended the others."""
    for error in several.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return several
