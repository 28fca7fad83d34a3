"""Images from registries: the pull half of the distribution protocol.

Called by the engine as a source of images; fills the blob store.  Nothing is believed that was not checked: manifests
and blobs against their digests and sizes, redirects against `challenges`, documents against `manifest` and `config`.
A transfer that breaks off is continued where it stopped.

Async; files are written from threads.  aiohttp is imported with the first request, so that a cloud that never pulls
does not carry it.

Source: OCI distribution specification 1.1, "Pull"; distribution "Token Authentication".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from coracle.core.tasks import offload
from coracle.image.blobs import BlobStore, BlobWriter
from coracle.image.challenges import check_url
from coracle.image.config import parse_config
from coracle.image.digests import PREFIX, digest_of, is_digest
from coracle.image.doors import Door, Endpoint, open_session, read_body
from coracle.image.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    Manifest,
    Platform,
    choose_platform,
    host_platform,
    parse_manifest,
)
from coracle.image.references import DEFAULT_REGISTRY, Reference
from coracle.image.terms import PLAIN, Terms

if TYPE_CHECKING:
    import aiohttp

Progress = Callable[[str, int, int], None]

MANIFEST_BYTES = 4 << 20
WRITE_BYTES = 1 << 20  # what is gathered before it is written: each write costs a change of thread
PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where to ask for each registry, the first one that answers has the say.

    Shape: `endpoints` maps a registry's name in references (`docker.io`, `localhost:5000`) to addresses in order.  A
           registry that is not listed is asked at https://<its name>; docker.io only where it is listed, since names
           without a registry mean it and are mostly answered by the catalogue.
    """

    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises Invalid."""
        for listed in self.endpoints.values():
            for endpoint in listed:
                check_url(endpoint.url)

    def of(self, registry: str) -> tuple[Endpoint, ...]:
        if registry in self.endpoints:
            return self.endpoints[registry]
        return () if registry == DEFAULT_REGISTRY else (Endpoint(f"https://{registry}"),)


class Registries:
    """A source of images (`engine.images.Source`)."""

    name = "registries"
    remote = True

    def __init__(
        self, blobs: BlobStore, clock: Clock, mirrors: Mirrors | None = None, *, platform: Platform | None = None
    ) -> None:
        self._blobs, self._clock, self._mirrors = blobs, clock, mirrors or Mirrors()
        self._platform = platform or host_platform()

    async def fetch(self, reference: Reference, progress: Progress, terms: Terms = PLAIN) -> str | None:
        """Bring the image into the blob store; its manifest's digest, None where no registry knows the name.

        Raises: Unavailable, Unauthenticated, Forbidden, Invalid, Malformed, NotFound (the platform), TooLarge.
        """
        failure: CloudError | None = None
        for endpoint in self._mirrors.of(reference.registry):
            async with open_session() as session:
                pull = _Pull(Door(session, endpoint, reference, self._clock), reference, self._blobs)
                try:
                    found = await pull.image(terms.platform or self._platform, progress)
                except (Unavailable, Unauthenticated, Forbidden) as error:
                    failure = failure or error
                    continue
            if found is not None:
                return found
        if failure is not None:
            raise failure
        return None

    async def tags(self, reference: Reference, terms: Terms = PLAIN) -> Sequence[str]:
        return ()


class _Pull:
    """One image from one address."""

    def __init__(self, door: Door, reference: Reference, blobs: BlobStore) -> None:
        self._door, self._reference, self._blobs = door, reference, blobs

    async def image(self, platform: Platform, progress: Progress) -> str | None:
        """The digest of the manifest for `platform`, with all its blobs stored; None where the name is unknown."""
        try:
            raw, found = await self._manifest(self._reference.digest or self._reference.tag)
        except NotFound:
            return None
        if isinstance(found, Index):
            chosen = choose_platform(found, platform)
            raw, found = await self._manifest(chosen.digest, chosen)
        if isinstance(found, Index):
            raise Invalid(message=f"{self._reference.familiar} is an index of indexes", kind="Image")
        await self._bring(found, progress)
        return (await offload(self._blobs.put, raw)).digest

    async def _manifest(self, name: str, promised: Descriptor | None = None) -> tuple[bytes, Manifest | Index]:
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

        try:
            async with asyncio.TaskGroup() as group:
                for layer in {layer.digest: layer for layer in manifest.layers}.values():
                    group.create_task(one(layer))
        except* CloudError as errors:
            raise errors.exceptions[0] from None

    async def _blob(self, blob: Descriptor, progress: Progress) -> None:
        """Store one blob, continuing what an earlier attempt left."""
        step = f"layer {blob.digest[len(PREFIX) :][:12]}"
        if await offload(self._blobs.has, blob.digest):
            progress(step, blob.size_bytes, blob.size_bytes)
            return
        url = f"{self._door.base}/blobs/{blob.digest}"

        def rest() -> Mapping[str, str]:
            return {"Range": f"bytes={writer.offset}-"} if writer.offset else {}

        async def receive(response: aiohttp.ClientResponse) -> None:
            await self._receive(writer, response, lambda done: progress(step, done, blob.size_bytes))

        with await offload(self._blobs.writer, blob.digest, blob.size_bytes) as writer:
            if writer.offset < blob.size_bytes:
                await self._door.get(
                    url, lambda: {"Range": f"bytes={writer.offset}-"} if writer.offset else {}, receive
                )
            await offload(writer.commit)
        progress(step, blob.size_bytes, blob.size_bytes)

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
