"""One build while it runs: its stages as tasks that wait for each other, and the images that they begin with."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from coracle.core.clock import Clock
from coracle.core.errors import Broken, CloudError, Exhausted, Invalid, NotFound
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine.builds import state as states
from coracle.engine.builds.arguments import Arguments
from coracle.engine.builds.cache import Cache
from coracle.engine.builds.context import Context, read_dockerfile
from coracle.engine.builds.layers import LayerMaker
from coracle.engine.builds.mounting import Caches
from coracle.engine.builds.plan import Plan
from coracle.engine.builds.request import BuildRequest, Say
from coracle.engine.builds.running import Runner
from coracle.engine.builds.stages import Outcome, Site, StageRunner
from coracle.engine.builds.state import State
from coracle.engine.builds.transcript import Channel, Transcript
from coracle.engine.images import Images, Policy
from coracle.image.blobs import BlobStore
from coracle.image.digests import digest_of
from coracle.image.manifest import Index, Platform, host_platform, parse_manifest, parse_platform
from coracle.image.references import parse_reference
from coracle.image.terms import NOBODY, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What builds are made with.  `admit` makes an image record of a state."""

    clock: Clock
    images: Images
    blobs: BlobStore
    layers: LayerMaker
    runner: Runner
    cache: Cache
    mount_caches: Caches
    admit: Callable[[State], Awaitable[Object]]


@dataclass(frozen=True, slots=True)
class Ground:
    """What a build works on: its files, and a directory of its own."""

    context: Context
    scratch: Path

    async def dockerfile(self, name: str = "") -> bytes:
        """Raises Malformed, Invalid: see read_dockerfile."""
        return await offload(read_dockerfile, self.context, name)


class Building:
    """One build while it runs."""

    def __init__(self, parts: Parts, request: BuildRequest, ground: Ground, plan: Plan, arguments: Arguments) -> None:
        self._parts, self._request, self._plan = parts, request, plan
        self._site = Site(
            request=request,
            plan=plan,
            arguments=arguments,
            context=ground.context,
            scratch=ground.scratch,
            clock=parts.clock,
            cache=parts.cache,
            layers=parts.layers,
            runner=parts.runner,
            mount_caches=parts.mount_caches,
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
            await self._parts.cache.commit(self._site.steps)
            for id in self._lent:
                with contextlib.suppress(CloudError):  # somebody else has come to use it
                    await self._parts.images.remove(id, force=True)

    _start: Callable[[int], asyncio.Task[Outcome]]

    def _start_stage(self, group: asyncio.TaskGroup, transcript: Transcript, index: int) -> asyncio.Task[Outcome]:
        if index not in self._stages:
            self._stages[index] = group.create_task(
                self._run_stage(index, transcript.open(index)), name=f"stage {index}"
            )
        return self._stages[index]

    async def _run_stage(self, index: int, channel: Channel) -> Outcome:
        try:
            outcome = await StageRunner(self._site, self._plan.all[index], channel).run()
        except (CloudError, ExceptionGroup):
            await channel.release()
            raise
        await channel.close()
        return outcome

    async def _stage(self, index: int) -> Outcome:
        """What a stage makes, once it has."""
        return await _joined(self._start(index))

    async def _base(self, name: str, platform: Platform) -> Outcome:
        key = (name, str(platform))
        if key not in self._bases:
            image = await self._fetch(name, platform)
            self._held.enter_context(self._parts.images.in_use(image))
            self._bases[key] = Outcome(await offload(self._read, image), image.spec["id"])
        return self._bases[key]

    async def _fetch(self, name: str, platform: Platform) -> Object:
        images, request = self._parts.images, self._request
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
        manifest = parse_manifest(self._parts.blobs.read(image.spec["manifest"]))
        if isinstance(manifest, Index):
            raise Invalid(message="an index is no image")
        return states.from_image(self._parts.blobs.read(image.spec["id"]), manifest)

    async def _image_of(self, state: State) -> str:
        here = self._parts.images.find(state.id) if state.id else None
        if here is None:
            here = await self._parts.admit(replace(state, id=digest_of(state.raw)))
            self._lent.append(here.spec["id"])
        return str(here.spec["id"])


async def _joined(task: asyncio.Task[Outcome]) -> Outcome:
    """Its result; waiting for it may be cancelled without it."""
    await asyncio.wait([task])
    return task.result()


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended the others; what the disk refused in words."""
    error = several.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return _first(error)
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return (Exhausted if full else Broken)(f"the build broke off: {error.strerror}")
    return error
