"""What no image needs any more: found when something has gone, and given back when nothing is on its way in.

Blobs enter the blob store before there is an image that has them.  Whoever puts them there is counted as work
(`receiving`, or a name in `Works`), and while anything is, nothing is swept; while something is swept, nothing begins.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine.works import Works
from coracle.image.blobs import BlobStore
from coracle.image.snapshots.api import Snapshotter

# The layers (chain ids) and the blobs (digests) that somebody has besides the images.
Keeper = Callable[[], tuple[Collection[str], Collection[str]]]


class Garbage:
    """`images` gives the records of all images."""

    def __init__(
        self, blobs: BlobStore, snapshotter: Snapshotter, works: Works, images: Callable[[], Sequence[Object]]
    ) -> None:
        self._blobs, self._snapshotter, self._works, self._images = blobs, snapshotter, works, images
        self._is_there = False
        self._keepers: list[Keeper] = []
        self._sweeping = asyncio.Lock()

    def keep_for(self, keeper: Keeper) -> None:
        """Somebody else has layers and blobs without an image: builds' steps."""
        self._keepers.append(keeper)

    def note(self) -> None:
        """There may be some now."""
        self._is_there = True

    async def begun(self) -> None:
        """Called first by what is counted as work: waits for a sweep that is under way; no other begins meanwhile."""
        async with self._sweeping:
            pass

    @contextlib.asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Around putting blobs into the blob store.  Where that fails, what of it was stored is swept at the end."""
        try:
            with self._works.busy():
                await self.begun()
                yield
        except BaseException:
            self.note()
            raise
        finally:
            await self.collect()

    async def collect(self) -> None:
        """Sweep, where there is something to and nothing is on its way in; else the next one does."""
        if not self._is_there or not self._works.idle:
            return
        self._is_there = False
        records = self._images()
        chains = {one for image in records for one in image.spec["chain_ids"]}
        kept = {one for image in records for one in image.spec["blobs"]}
        for keeper in self._keepers:
            layers, blobs = keeper()
            chains.update(layers)
            kept.update(blobs)
        with self._works.busy():
            async with self._sweeping:
                await offload(self._snapshotter.collect, chains)
                await offload(self._drop_blobs, kept)

    def _drop_blobs(self, kept: Collection[str]) -> None:
        for blob in list(self._blobs.list()):
            if blob.digest not in kept:
                self._blobs.delete(blob.digest)
