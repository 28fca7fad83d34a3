"""Committing: a container's changes become a layer, and with its image's layers a new image.

    <run>/commits/<id>    container <id> is paused because it is being committed: the next daemon lets it go on

Called by Docker's handlers; calls the snapshotter, the blob store and `images`.
Source: OCI image specification 1.1; moby daemon/images (CommitImage).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from coracle.core.clock import Clock, rfc3339_micro
from coracle.core.errors import Conflict, NotFound, Unsupported
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine.containers import Containers
from coracle.engine.files import stands_on
from coracle.engine.images import Images
from coracle.image.blobs import Blob, BlobStore
from coracle.image.config import History, ImageConfig, Settings
from coracle.image.manifest import OCI_CONFIG, OCI_LAYER, Descriptor, Index, Manifest, parse_manifest
from coracle.image.snapshots.api import Packs, Snapshotter


class Stack(Snapshotter, Packs, Protocol):
    """A snapshotter that can make layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What to make of a container.  `reference` "" gives the image no name; `pause`: nothing in it runs meanwhile."""

    settings: Settings
    reference: str = ""
    author: str = ""
    comment: str = ""
    pause: bool = True


class Commits:
    """`run_path` keeps what is only true until the machine restarts."""

    def __init__(
        self,
        containers: Containers,
        images: Images,
        snapshotter: Stack,
        blobs: BlobStore,
        clock: Clock,
        *,
        run_path: str,
    ) -> None:
        self._containers, self._images = containers, images
        self._snapshotter, self._blobs, self._clock = snapshotter, blobs, clock
        self._paused = Path(run_path) / "commits"

    async def commit(self, id: str, asked: Commit) -> Object:
        """The image's record.  Raises NotFound, Malformed (the reference), Exhausted."""
        record = self._containers.get(id)
        image = self._images.get(record.spec["image_id"])
        async with self._images.receiving():
            async with self._still(record, asked), self._containers.mounted(id):
                layer, diff_id = await offload(self._pack, record)
            below = await self._images.config(image)
            config = self._config(record, below, asked, diff_id)
            manifest = await offload(self._manifest, image, config, layer)
            return await self._images.admit(manifest, asked.reference, parent=image.spec["id"])

    async def adopt(self) -> None:
        """At start, with the containers adopted: let go on what the last daemon had paused for a commit."""
        for id in await offload(_names, self._paused):
            await self._resume(id)
            await self._unmark(id)

    @contextlib.asynccontextmanager
    async def _still(self, record: Object, asked: Commit) -> AsyncIterator[None]:
        """While its changes are read it is paused, where that is asked for and can be."""
        id = record.meta.name
        if not asked.pause or record.status["state"] != "running" or record.status.get("paused"):
            yield
            return
        await offload(_mark, self._paused / id)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._unmark, id)
            with contextlib.suppress(Conflict, Unsupported, NotFound):  # it has ended, or somebody has paused it
                await self._containers.pause(id)
                stack.push_async_callback(self._resume, id)
            yield

    async def _resume(self, id: str) -> None:
        with contextlib.suppress(Conflict, NotFound, Unsupported):
            await self._containers.resume(id)

    async def _unmark(self, id: str) -> None:
        await offload((self._paused / id).unlink, True)

    def _pack(self, record: Object) -> tuple[Blob, str]:
        with self._blobs.writer() as writer:
            diff_id = self._snapshotter.pack(record.meta.name, cast("BinaryIO", writer), without=stands_on(record))
            return writer.commit(), diff_id

    def _config(self, record: Object, below: ImageConfig, asked: Commit, diff_id: str) -> ImageConfig:
        at = rfc3339_micro(self._clock.now_s())
        done = History(at, " ".join(record.spec["argv"] or ()), asked.comment)
        return ImageConfig(
            platform=below.platform,
            settings=asked.settings,
            diff_ids=(*below.diff_ids, diff_id),
            history=(*below.history, done),
            created=at,
            author=asked.author,
        )

    def _manifest(self, image: Object, config: ImageConfig, layer: Blob) -> str:
        """Put the configuration and the manifest into the blob store; the manifest's digest."""
        below = parse_manifest(self._blobs.read(image.spec["manifest"]))
        if isinstance(below, Index):
            raise NotFound(kind="Manifest", name=image.spec["manifest"])
        settings = self._blobs.put(config.encode())
        whole = Manifest(
            Descriptor(OCI_CONFIG, settings.digest, settings.size_bytes),
            (*below.layers, Descriptor(OCI_LAYER, layer.digest, layer.size_bytes)),
        )
        return self._blobs.put(whole.encode()).digest


def _mark(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch()


def _names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
