"""Bringing one image in from one address of a registry.

Nothing is believed that was not checked: manifests and blobs against their digests and sizes, documents against
`manifest` and `config`.  A transfer that breaks off is continued where it stopped.  Where a blob comes from is not the
image's to say: `urls` of foreign layers are not looked at.

Async; files are written from threads.
Source: OCI distribution specification 1.1, "Pull".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from coracle.core.errors import CloudError, Invalid, NotFound
from coracle.core.tasks import offload, opened
from coracle.image import steps
from coracle.image.blobs import BlobStore, BlobWriter
from coracle.image.config import parse_config
from coracle.image.digests import PREFIX, digest_of, is_digest
from coracle.image.doors import Door, read_body
from coracle.image.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    Manifest,
    Platform,
    choose_platform,
    parse_manifest,
)
from coracle.image.references import Reference

if TYPE_CHECKING:
    import aiohttp

Progress = Callable[[str, int, int], None]

MANIFEST_BYTES = 4 << 20
WRITE_BYTES = 1 << 20  # what is gathered before it is written: each write costs a change of thread
PARALLEL = 4


class Pull:
    """One image from one address."""

    def __init__(self, door: Door, reference: Reference, blobs: BlobStore) -> None:
        self._door, self._reference, self._blobs = door, reference, blobs

    async def image(self, platform: Platform, progress: Progress) -> str | None:
        """The digest of the manifest for `platform`, with all its blobs stored; None where the name is unknown."""
        try:
            raw, found = await self.manifest(self._reference.digest or self._reference.tag)
        except NotFound:
            return None
        if isinstance(found, Index):
            chosen = choose_platform(found, platform)
            raw, found = await self.manifest(chosen.digest, chosen)
        if isinstance(found, Index):
            raise Invalid(message=f"{self._reference.familiar} is an index of indexes", kind="Image")
        await self._bring(found, progress)
        return (await offload(self._blobs.put, raw)).digest

    async def manifest(self, name: str, promised: Descriptor | None = None) -> tuple[bytes, Manifest | Index]:
        """A manifest or index by tag or digest, checked.  Raises NotFound."""
        accept = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))

        async def read(response: aiohttp.ClientResponse) -> tuple[bytes, str, str]:
            raw = await read_body(response, MANIFEST_BYTES)
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
            return raw, kind, response.headers.get("Docker-Content-Digest", "")

        raw, kind, said = await self._door.get(f"{self._door.base}/manifests/{name}", lambda: {"Accept": accept}, read)
        digest = digest_of(raw)
        if is_digest(name) and digest != name:
            raise Invalid(message=f"manifest {name} arrived as {digest}", kind="Image", name=name)
        if said.startswith(PREFIX) and said != digest:
            raise Invalid(
                message=f"manifest of {self._reference.familiar} arrived as {digest}, not {said}", kind="Image"
            )
        if promised is not None and len(raw) != promised.size_bytes:
            raise Invalid(message=f"manifest {name} has {len(raw)} bytes, not {promised.size_bytes}", kind="Image")
        return raw, parse_manifest(raw, kind)

    async def _bring(self, manifest: Manifest, progress: Progress) -> None:
        """Store configuration and layers, some at a time; the configuration first, since it may be refused."""
        await self._blob(manifest.config, lambda *_: None)
        config = parse_config(await offload(self._blobs.read, manifest.config.digest))
        if len(config.diff_ids) != len(manifest.layers):
            raise Invalid(
                message=f"{self._reference.familiar}: configuration and manifest differ in layers", kind="Image"
            )
        places = asyncio.Semaphore(PARALLEL)

        async def one(layer: Descriptor) -> None:
            async with places:
                await self._blob(layer, progress)

        for layer in manifest.layers:
            if not await offload(self._blobs.has, layer.digest):
                progress(steps.layer(layer.digest), 0, layer.size_bytes)
        try:
            async with asyncio.TaskGroup() as group:
                for layer in {layer.digest: layer for layer in manifest.layers}.values():
                    group.create_task(one(layer))
        except* CloudError as errors:
            raise errors.exceptions[0] from None

    async def _blob(self, blob: Descriptor, progress: Progress) -> None:
        """Store one blob, continuing what an earlier attempt left."""
        step = steps.layer(blob.digest)
        if await offload(self._blobs.has, blob.digest):
            progress(step, blob.size_bytes, blob.size_bytes)
            return
        url = f"{self._door.base}/blobs/{blob.digest}"

        async def receive(response: aiohttp.ClientResponse) -> None:
            await self._receive(writer, response, lambda done: progress(step, done, blob.size_bytes))

        async with opened(self._blobs.writer, blob.digest, blob.size_bytes) as writer:
            if writer.offset < blob.size_bytes:
                await self._door.get(
                    url, lambda: {"Range": f"bytes={writer.offset}-"} if writer.offset else {}, receive
                )
            await offload(writer.commit)
        progress(step, blob.size_bytes, blob.size_bytes)

    async def small_blob(self, blob: Descriptor) -> bytes:
        """A configuration, checked and not stored.  Raises NotFound, Invalid, TooLarge."""

        async def read(response: aiohttp.ClientResponse) -> bytes:
            return await read_body(response, MANIFEST_BYTES)

        raw = await self._door.get(f"{self._door.base}/blobs/{blob.digest}", dict, read)
        if digest_of(raw) != blob.digest or len(raw) != blob.size_bytes:
            raise Invalid(message=f"blob {blob.digest} arrived as {digest_of(raw)}", kind="Blob", name=blob.digest)
        return raw

    async def _receive(self, writer: BlobWriter, response: aiohttp.ClientResponse, tell: Callable[[int], None]) -> None:
        """Write a body, or the rest of one, to `writer`.  Raises Unavailable where it ends early."""
        if writer.offset and not _continues(response, writer.offset):
            await offload(writer.restart)
        gathered = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            gathered += chunk
            if len(gathered) >= WRITE_BYTES:
                await offload(writer.write, bytes(gathered))
                gathered.clear()
                tell(writer.offset)
        await offload(writer.write, bytes(gathered))


def _continues(response: aiohttp.ClientResponse, offset: int) -> bool:
    """Whether the body goes on from `offset`."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
