"""Builds: from a request and a context to an image.  Called by Docker's `POST /build`.

    stages run at once where they do not wait for each other  ->  the outcome's blobs  ->  images.admit  ->  its names

Whatever way a build ends, cancelled or with the daemon: steps that were done stay in the cache, and nothing else is
left.  All of a build's own files are in `<root>/builds/<its id>`, swept at the next start.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from coracle.core.clock import Clock
from coracle.core.errors import Invalid
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine.builds.arguments import Arguments, platform_arguments
from coracle.engine.builds.building import Building, Ground, Parts
from coracle.engine.builds.cache import Cache, layer_bytes
from coracle.engine.builds.context import Context, drop, unpack_context
from coracle.engine.builds.layers import LayerMaker, Stack
from coracle.engine.builds.mounting import Caches
from coracle.engine.builds.plan import make_plan
from coracle.engine.builds.request import BuildRequest, Say
from coracle.engine.builds.running import Runner
from coracle.engine.builds.state import State
from coracle.engine.containers import Containers
from coracle.engine.images import Images
from coracle.engine.sandboxes import Sandboxes
from coracle.image.blobs import BlobStore
from coracle.image.manifest import host_platform
from coracle.image.references import parse_reference

__all__ = ["Builds", "Ground"]


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
        self._images, self._blobs = images, blobs
        self._layers = LayerMaker(snapshotter, blobs)
        self._containers, self._sandboxes = containers, sandboxes
        self._root = Path(root_path) / "builds"
        self.cache = Cache(store, clock, self._layers)
        images.keep_for(self.cache.held)
        self.mount_caches = Caches(Path(root_path) / "build-caches")
        self._parts = Parts(
            clock=clock,
            images=images,
            blobs=blobs,
            layers=self._layers,
            runner=Runner(containers, sandboxes, self._layers),
            cache=self.cache,
            mount_caches=self.mount_caches,
            admit=self._admit,
        )

    async def adopt(self) -> None:
        """At start: what builds left when the last daemon died goes.  After the containers are up."""
        for record in self._containers.list():
            if record.spec.get("owner") == "build":
                await self._containers.remove(record.meta.name, force=True)
                await self._sandboxes.remove(record.meta.name)
        await self._layers.sweep()
        if await offload(drop, self._root):
            await self._images.collect()  # layers of steps that were not yet journaled

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
        steps = plan.stages[plan.target].steps
        for number, one in enumerate(request.dockerfile.arguments, 1):
            await say(f"Step {number}/{steps} : {one.text}\n")
        async with self._images.receiving():
            outcome = await Building(self._parts, request, ground, plan, arguments).run(say)
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
        image = self._images.find(state.id) or await self._admit(state)
        for tag in request.tags:
            image = await self._images.tag(state.id, tag)
        return image

    async def _admit(self, state: State) -> Object:
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


def _digests(record: Object) -> list[str]:
    return [layer["digest"] for layer in record.spec["layers"]]
