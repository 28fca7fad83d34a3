"""Images in files: archives of whole images in and out, and a file system that becomes an image.

Called by Docker's handlers.  What arrives is kept in a nameless file until it has been read; an archive that is refused
leaves nothing, whatever of it was good.

Source: Docker Engine API 1.50, "ImageLoad", "ImageGet", "ImageCreate" (fromSrc); docker.md 6.3, items 3 and 4.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from coracle.core.clock import Clock, rfc3339
from coracle.core.errors import CloudError, Exhausted, Invalid, Malformed, TooLarge
from coracle.core.object import Object
from coracle.core.tasks import offload, opened
from coracle.engine.archives.packed import ERRORS, is_packed, unpacked
from coracle.engine.images import Images
from coracle.engine.works import Progress
from coracle.image import archive
from coracle.image.blobs import CHUNK_BYTES, BlobStore
from coracle.image.config import History, ImageConfig, Settings
from coracle.image.manifest import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    Platform,
    host_platform,
    parse_manifest,
)
from coracle.image.references import parse_reference

MAX_BYTES = 64 << 30
FREE_BYTES, MAX_RATIO = 512 << 20, 300  # a ratio is only asked of what unpacks to more than FREE_BYTES


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that came in, the full names it came with, and who had had one of them before: (name, id)."""

    image: Object
    names: tuple[str, ...] = ()
    robbed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    """What a file system becomes: `settings` of the image, a word on where it came from, and for which machine."""

    settings: Settings = field(default_factory=Settings)
    comment: str = ""
    platform: Platform | None = None


class Shipping:
    def __init__(self, images: Images, blobs: BlobStore, clock: Clock) -> None:
        self._images, self._blobs, self._clock = images, blobs, clock

    async def load(
        self, body: AsyncIterator[bytes], progress: Progress, platform: Platform | None = None
    ) -> Sequence[Loaded]:
        """The images of a tar, compressed or not.  Raises Malformed, Invalid, TooLarge, Exhausted, NotFound."""
        async with self._images.receiving():
            async with self._received(body) as file:
                stored = await offload(archive.load, file, self._blobs, platform or host_platform())
            stored = [replace(one, names=tuple(_checked(one.names))) for one in stored]
            return [await self._admit(one, progress) for one in stored]

    async def save(self, images: Iterable[tuple[Object, Sequence[str]]]) -> Iterator[bytes]:
        """Pieces of a tar of these images, each with its full names; ask for them in threads.  Raises Invalid."""
        stored = [
            archive.Stored(Descriptor(OCI_MANIFEST, image.spec["manifest"], 0), tuple(names)) for image, names in images
        ]
        described = [await offload(self._describe, one) for one in stored]
        return await offload(archive.pieces, self._blobs, described)

    async def take(self, body: AsyncIterator[bytes], what: Import, reference: str = "") -> Object:
        """The image whose only layer is this tar.  Raises as load."""
        async with self._images.receiving():
            async with self._received(body) as file:
                manifest = await offload(self._make, file, what, rfc3339(self._clock.now_s()))
            return await self._images.admit(manifest, reference)

    @contextlib.asynccontextmanager
    async def _received(self, body: AsyncIterator[bytes]) -> AsyncIterator[BinaryIO]:
        """What the client sends, unpacked, in a file at its beginning."""
        async with opened(self._blobs.scratch) as file:
            gathered = bytearray()
            async for chunk in body:
                gathered += chunk
                if len(gathered) >= CHUNK_BYTES:  # each write costs a change of thread
                    await offload(_write, file, bytes(gathered))
                    gathered.clear()
            await offload(_write, file, bytes(gathered))
            async with opened(_opened, file, self._blobs) as plain:
                yield plain

    async def _admit(self, one: archive.Stored, progress: Progress) -> Loaded:
        robbed, image = [], None
        for name in one.names or ("",):
            before = self._images.find(name) if name else None
            image = await self._images.admit(one.image.digest, name, progress=progress)
            if before is not None and before.key != image.key:
                robbed.append((name, before.spec["id"]))
        assert image is not None  # noqa: S101  # there is a name, or the empty one
        return Loaded(image, one.names, tuple(robbed))

    def _describe(self, one: archive.Stored) -> archive.Stored:
        """With the type and size that its manifest has."""
        raw = self._blobs.read(one.image.digest)
        found = parse_manifest(raw)
        return replace(one, image=Descriptor(found.media_type, one.image.digest, len(raw)))

    def _make(self, file: BinaryIO, what: Import, now: str) -> str:
        layer = self._blobs.put(file)
        platform = what.platform or host_platform()
        history = (History(now, "", what.comment),)
        config = ImageConfig(platform, what.settings, (layer.digest,), history, now).encode()
        stored = self._blobs.put(config)
        manifest = Manifest(
            Descriptor(OCI_CONFIG, stored.digest, stored.size_bytes),
            (Descriptor(OCI_LAYER, layer.digest, layer.size_bytes),),
        )
        return self._blobs.put(manifest.encode()).digest


def _checked(names: Iterable[str]) -> Iterator[str]:
    """The names that are whole: a mere tag, as layouts have it, names nothing.  Raises Malformed."""
    for name in names:
        if ":" in name or "/" in name:
            if parse_reference(name).digest:
                raise Malformed(f"invalid tag {name[:200]!r} in the image archive: it has a digest")
            yield name


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise Exhausted(f"no space left for the archive: {error.strerror}") from error
    if file.tell() > MAX_BYTES:
        raise TooLarge(f"the archive is larger than {MAX_BYTES} bytes")


def _opened(file: BinaryIO, blobs: BlobStore) -> BinaryIO:
    """The file itself, or what it holds compressed, in a file of its own.  Raises Invalid, TooLarge, Exhausted."""
    size_bytes = file.seek(0, 2)
    file.seek(0)
    if not size_bytes:
        raise Invalid(message="the archive is empty")
    packed = is_packed(file.read(6))
    file.seek(0)
    if not packed:
        return file
    source = unpacked(file)
    limit_bytes = min(MAX_BYTES, max(FREE_BYTES, size_bytes * MAX_RATIO))
    plain = blobs.scratch()
    try:
        while chunk := source.read(CHUNK_BYTES):
            _write(plain, chunk)
            if plain.tell() > limit_bytes:
                raise TooLarge(f"the archive unpacks to more than {limit_bytes} bytes")
    except (*ERRORS, OSError, MemoryError) as error:
        plain.close()
        raise Invalid(message=f"the archive cannot be unpacked: {error}") from None
    except CloudError:
        plain.close()
        raise
    plain.seek(0)
    return plain
