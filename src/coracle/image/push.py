"""Sending one image to one address of a registry.

Layers first, some at a time: one that is there is not sent, one that the registry has under another name is mounted
from there, an upload that breaks off goes on where the registry says.  The manifest comes last, as it is here, so that
its digest is the same on both sides.

Async; files are read from threads.
Source: OCI distribution specification 1.1, "Push".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, urlencode, urljoin, urlsplit

from coracle.core.errors import CloudError, Forbidden, Invalid, NotFound, Unavailable
from coracle.core.tasks import offload, opened
from coracle.image import steps
from coracle.image.blobs import BlobStore
from coracle.image.challenges import check_redirect
from coracle.image.doors import Ask, Door
from coracle.image.manifest import Descriptor, Index, parse_manifest

if TYPE_CHECKING:
    import aiohttp

Progress = Callable[[str, int, int], None]

READ_BYTES = 1 << 20
PARALLEL = 4
RESUMES = 5
THERE, MOUNTED = -1, -2  # instead of a size, where nothing had to be sent
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class Push:
    """`known` maps digests to repositories of the same registry where they were seen."""

    def __init__(self, door: Door, blobs: BlobStore, known: Mapping[str, Sequence[str]], progress: Progress) -> None:
        self._door, self._blobs, self._known, self._progress = door, blobs, known, progress

    async def image(self, digest: str, name: str) -> Descriptor:
        """Send the image whose manifest has that digest, under tag `name`.

        Raises: NotFound (a blob is not here), Unauthenticated, Forbidden, Unavailable, Invalid.
        """
        raw = await offload(self._blobs.read, digest)
        manifest = parse_manifest(raw)
        if isinstance(manifest, Index):
            raise Invalid(message=f"{digest} is an index, not an image", kind="Image", name=digest)
        layers = list({layer.digest: layer for layer in manifest.layers}.values())
        for layer in layers:
            self._progress(steps.push(layer.digest), 0, layer.size_bytes)
        places = asyncio.Semaphore(PARALLEL)

        async def one(blob: Descriptor, tell: Progress) -> None:
            async with places:
                await self._blob(blob, tell)

        try:
            async with asyncio.TaskGroup() as group:
                for layer in layers:
                    group.create_task(one(layer, self._progress))
        except* CloudError as errors:
            raise errors.exceptions[0] from None
        await self._blob(manifest.config, lambda *_: None)
        await self._put_manifest(raw, manifest.media_type, digest, name)
        return Descriptor(manifest.media_type, digest, len(raw))

    async def _blob(self, blob: Descriptor, tell: Progress) -> None:
        step = steps.push(blob.digest)
        if await self._has(blob.digest):
            tell(step, blob.size_bytes, THERE)
            return
        upload = await self._mount(blob.digest)
        if not upload:
            tell(step, blob.size_bytes, MOUNTED)
            return
        async with opened(self._blobs.open, blob.digest) as file:
            await self._send(upload, blob, file, lambda done: tell(step, done, blob.size_bytes))
        tell(step, blob.size_bytes, blob.size_bytes)

    async def _has(self, digest: str) -> bool:
        try:
            await self._door.ask(Ask("HEAD", f"{self._door.base}/blobs/{digest}", good=(200,)), _nothing)
        except NotFound:
            return False
        return True

    async def _mount(self, digest: str) -> str:
        """Begin an upload: where it goes on; "" where the registry took the blob from another repository."""
        for repository in self._known.get(digest, ())[:1]:
            self._door.may_also(f"repository:{repository}:pull")
            return await self._begin(f"?{urlencode({'mount': digest, 'from': repository})}")
        return await self._begin()

    async def _begin(self, query: str = "") -> str:
        url = f"{self._door.base}/blobs/uploads/{query}"
        return await self._door.ask(Ask("POST", url, data=lambda: b"", good=(201, 202)), self._upload_place)

    async def _upload_place(self, response: aiohttp.ClientResponse) -> str:
        """Where an upload goes on.  Raises Invalid."""
        if response.status == 201 and response.method == "POST":
            return ""
        target = response.headers.get("Location")
        if not target:
            raise Invalid(message=f"registry {response.url.host} does not say where to upload")
        return check_redirect(self._door.root, urljoin(str(response.url), target))

    async def _send(self, upload: str, blob: Descriptor, file: BinaryIO, tell: Callable[[int], None]) -> None:
        """Send what is missing until nothing is, then close the upload under the blob's digest."""
        offset = 0
        for attempt in range(RESUMES):
            if offset == blob.size_bytes:
                break
            try:
                upload = await self._patch(upload, blob, file, offset, tell)
                offset = blob.size_bytes
            except Unavailable:
                if attempt == RESUMES - 1:
                    raise
                upload, offset = await self._sent(upload)
                if offset > blob.size_bytes:
                    raise
                if offset == 0:  # "0-0" is said of no byte and of one: begin again
                    upload = await self._begin()
        mark = "&" if urlsplit(upload).query else "?"
        url = f"{upload}{mark}digest={quote(blob.digest, safe='')}"
        await self._door.ask(Ask("PUT", url, data=lambda: b"", good=(201, 204)), _nothing)

    async def _patch(
        self, upload: str, blob: Descriptor, file: BinaryIO, offset: int, tell: Callable[[int], None]
    ) -> str:
        """Send all from `offset` on; where the upload goes on."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(blob.size_bytes - offset),
            "Content-Range": f"{offset}-{blob.size_bytes - 1}",
        }

        async def rest() -> AsyncIterator[bytes]:
            done = offset
            while chunk := await offload(_read_at, file, done):
                done += len(chunk)
                yield chunk
                tell(done)

        ask = Ask("PATCH", upload, lambda: headers, rest, good=(202, 204), attempts=1)
        return await self._door.ask(ask, self._upload_place)

    async def _sent(self, upload: str) -> tuple[str, int]:
        """How far an upload that broke off had come, and where it goes on."""

        async def read(response: aiohttp.ClientResponse) -> tuple[str, int]:
            found = _RANGE.fullmatch(response.headers.get("Range", ""))
            last = int(found[1]) if found else 0
            where = response.headers.get("Location")
            place = check_redirect(self._door.root, urljoin(str(response.url), where)) if where else upload
            return place, last + 1 if last else 0

        return await self._door.ask(Ask("GET", upload, good=(204,)), read)

    async def _put_manifest(self, raw: bytes, media_type: str, digest: str, name: str) -> None:
        async def read(response: aiohttp.ClientResponse) -> str:
            return response.headers.get("Docker-Content-Digest", "")

        url = f"{self._door.base}/manifests/{name}"
        ask = Ask("PUT", url, lambda: {"Content-Type": media_type}, lambda: raw, good=(200, 201, 202))
        said = await self._door.ask(ask, read)
        if said and said != digest:
            raise Invalid(message=f"registry took manifest {digest} as {said[:80]}", kind="Image", name=name)


async def _nothing(_response: aiohttp.ClientResponse) -> None:
    """What is in the answer does not matter."""


def _read_at(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    return file.read(READ_BYTES)


def to_push_error(error: CloudError, name: str) -> CloudError:
    """A refusal in the words of a push."""
    if isinstance(error, Forbidden):
        said = str(error).rpartition("'docker login': ")[2]
        return Forbidden(f"push access denied for {name}: {said}" if "denied" not in said else said)
    return error
