"""Layers in the making: a throw-away snapshot over a chain of layers, which becomes the next layer where it lies.

Called by the steps; calls the snapshotter and the blob store.  What a build leaves when the daemon dies has a name that
begins with PREFIX, and is dropped at the next start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from coracle.core.tasks import offload
from coracle.engine.builds.state import LayerRef, State
from coracle.image.blobs import BlobStore
from coracle.image.digests import chain_ids
from coracle.image.snapshots.api import Keeps, Packs, Snapshotter

PREFIX = "build-"


class Stack(Snapshotter, Packs, Keeps, Protocol):
    """A snapshotter that can make layers."""


class LayerMaker:
    def __init__(self, snapshotter: Stack, blobs: BlobStore) -> None:
        self._snapshotter, self._blobs = snapshotter, blobs

    def has(self, chain: Sequence[str]) -> bool:
        return all(self._snapshotter.has_layer(one) for one in chain)

    def has_blobs(self, state: State) -> bool:
        return all(self._blobs.has(layer.digest) for layer in state.layers)

    @contextlib.asynccontextmanager
    async def mounted(self, chain: Sequence[str], *, read_only: bool = False) -> AsyncIterator[tuple[str, int]]:
        """A snapshot over `chain`: its id, and a descriptor of its root, good until it is sealed.  Gone afterwards."""
        id = PREFIX + secrets.token_hex(16)
        try:
            path = await offload(lambda: self._snapshotter.mount(id, chain, read_only=read_only))
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield id, fd
            finally:
                os.close(fd)
        finally:
            await self._drop(id)

    async def prepare(self, id: str, chain: Sequence[str]) -> str:
        """A snapshot of that id over `chain`; the path of its root.  For a container, which takes it with its id."""
        return str(await offload(lambda: self._snapshotter.mount(id, chain)))

    async def seal(self, id: str, state: State) -> LayerRef | None:
        """What snapshot `id` over `state` changed, as a layer; None where it changed nothing.  Its root is no more.

        Raises: Exhausted.
        """
        return await offload(self._seal, id, state)

    def _seal(self, id: str, state: State) -> LayerRef | None:
        if next(self._snapshotter.changes(id), None) is None:
            self._snapshotter.remove(id)
            return None
        path = self._blobs.new_path()
        try:
            with path.open("wb") as out:
                diff_id = self._snapshotter.pack(id, out)
            blob = self._blobs.take(path, diff_id)
        finally:
            path.unlink(missing_ok=True)
        chain = chain_ids([*(layer.diff_id for layer in state.layers), diff_id])
        self._snapshotter.keep(id, chain)
        return LayerRef(diff_id, blob.digest, blob.size_bytes)

    async def sync(self) -> None:
        """All layers made so far are on the disk."""
        await offload(self._snapshotter.sync)

    async def _drop(self, id: str) -> None:
        await offload(self._snapshotter.remove, id)

    async def sweep(self) -> None:
        """At start: what a build left when the daemon died."""
        for id in await offload(self._snapshotter.list):
            if id.startswith(PREFIX):
                await self._drop(id)
