"""Images in one tar file: what `docker save`, `docker load` and `skopeo` pass around.

Written is a tar that is both at once: an OCI image layout (`oci-layout`, `index.json`, `blobs/sha256/`) and a Docker
archive (`manifest.json`).  Read is either.  Everything read is checked as if it came from a registry; a name in the
archive is only ever looked up among the archive's own members, never on disk.

Blocks: call from a thread.

Source: OCI image specification 1.1, "Image Layout"; Docker image specification 1.2, "Combined Image JSON + Filesystem
Changeset Format".
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, BinaryIO, cast

import orjson

from coracle.core.errors import Invalid, Malformed, TooLarge
from coracle.image.blobs import CHUNK_BYTES, DOCUMENT_BYTES, BlobStore
from coracle.image.config import parse_config
from coracle.image.digests import PREFIX
from coracle.image.layout import REF_NAME, read_manifest
from coracle.image.manifest import (
    MAX_MANIFESTS,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    Platform,
    choose_platform,
    host_platform,
    parse_manifest,
)
from coracle.image.references import parse_reference
from coracle.image.snapshots.entries import BoundedTarInfo
from coracle.image.snapshots.members import Refused
from coracle.image.snapshots.tar import Writable

MAX_MEMBERS = 10_000
CONTAINERD_NAME = "io.containerd.image.name"
_MAGIC = {b"\x1f\x8b": "+gzip", b"\x28\xb5": "+zstd"}


@dataclass(frozen=True, slots=True)
class Stored:
    """An image and what it is called: full names (`docker.io/library/nginx:latest`), or whatever the archive says."""

    image: Descriptor
    names: tuple[str, ...] = ()


def load(file: BinaryIO, blobs: BlobStore, platform: Platform | None = None) -> Sequence[Stored]:
    """Bring the images of a tar into `blobs`.

    Shape:  `file` can seek, and is not compressed.
    Raises: Malformed, Invalid, TooLarge, NotFound (the platform).  Blobs of a refused image may stay, unnamed.
    """
    try:
        with tarfile.open(
            fileobj=file, mode="r:", tarinfo=BoundedTarInfo, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            members = _Members(archive)
            if "index.json" in members:  # first: it keeps the image's own manifest, and with it its digest
                return _load_layout(members, blobs, platform or host_platform())
            if "manifest.json" in members:
                return _load_docker(members, blobs)
    except (tarfile.TarError, Refused, EOFError, OverflowError, ValueError) as error:
        raise Invalid(message=f"not an image archive: {error}") from None
    raise Invalid(message="not an image archive: it has neither index.json nor manifest.json")


def save(blobs: BlobStore, images: Iterable[Stored], out: Writable) -> None:
    """Write the images and all they need, each blob once.  Raises NotFound, Invalid (a damaged blob)."""
    for piece in pieces(blobs, images):
        out.write(piece)


def pieces(blobs: BlobStore, images: Iterable[Stored]) -> Iterator[bytes]:
    """What `save` writes, a piece at a time.  Everything that can be missing is looked for before the first."""
    found = [(one, read_manifest(blobs, one.image)) for one in images]
    configs = [parse_config(blobs.read(manifest.config.digest)) for _, manifest in found]
    listed = [_described(one, name) for one, _ in found for name in one.names or ("",)]
    docker = [
        {
            "Config": _blob_path(manifest.config.digest),
            "RepoTags": [_familiar(name) for name in one.names] or None,
            "Layers": [_blob_path(layer.digest) for layer in manifest.layers],
            "LayerSources": dict(zip(config.diff_ids, (layer.to_json() for layer in manifest.layers), strict=True)),
        }
        for (one, manifest), config in zip(found, configs, strict=True)
    ]
    sizes = {
        blob.digest: blobs.size_bytes(blob.digest)
        for one, manifest in found
        for blob in (*manifest.layers, manifest.config, one.image)
    }

    def written() -> Iterator[bytes]:
        for digest, size_bytes in sizes.items():
            yield _header(_blob_path(digest), size_bytes)
            with blobs.open(digest) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
            yield _padding(size_bytes)
        for name, data in (
            ("index.json", Index(tuple(listed)).encode()),
            ("manifest.json", orjson.dumps(docker)),
            ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ):
            yield _header(name, len(data)) + data + _padding(len(data))
        yield b"\0" * 2 * tarfile.BLOCKSIZE

    return written()


def _familiar(name: str) -> str:
    try:
        return parse_reference(name).familiar
    except Malformed:
        return name


def _described(one: Stored, name: str) -> Descriptor:
    """The image in the index, under `name` as containerd and as other tools write it."""
    if not name:
        return replace(one.image, annotations={})
    tag = name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else name
    return replace(one.image, annotations={CONTAINERD_NAME: name, REF_NAME: tag})


class _Members:
    """The regular files of an archive by name; links to them count as well, as old archives have them."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._found: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(archive):
            if count >= MAX_MEMBERS:
                raise TooLarge(f"image archive has more than {MAX_MEMBERS} members")
            self._found[posixpath.normpath(member.name)] = member

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def open(self, name: object) -> IO[bytes]:
        """A member for reading.  Raises Malformed."""
        member = self._found.get(posixpath.normpath(name)) if isinstance(name, str) else None
        if member is not None and (member.issym() or member.islnk()):  # one step: no archive needs more
            folder = posixpath.dirname(member.name) if member.issym() else ""
            member = self._found.get(posixpath.normpath(posixpath.join(folder, member.linkname)))
        if member is None or not member.isreg() or member.issparse() or member.size < 0:
            raise Malformed(f"image archive has no file {str(name)[:200]!r}")
        return cast("IO[bytes]", self._archive.extractfile(member))

    def read(self, name: object) -> bytes:
        """A small member.  Raises Malformed, TooLarge."""
        with self.open(name) as file:
            data = file.read(DOCUMENT_BYTES + 1)
        if len(data) > DOCUMENT_BYTES:
            raise TooLarge(f"{str(name)[:200]!r} in the image archive is larger than {DOCUMENT_BYTES} bytes")
        return data


def _load_layout(members: _Members, blobs: BlobStore, platform: Platform) -> Sequence[Stored]:
    index = parse_manifest(members.read("index.json"))
    if not isinstance(index, Index):
        raise Invalid(message="index.json of the image archive is no index")
    names: dict[str, list[str]] = {}
    images: dict[str, Descriptor] = {}
    for one in index.manifests:
        image = _load_one(members, blobs, one, platform)
        images[image.digest] = image
        name = one.annotations.get(CONTAINERD_NAME) or one.annotations.get(REF_NAME)  # the latter may be a tag only
        names.setdefault(image.digest, []).extend([name] if name else [])
    return [Stored(image, tuple(names[digest])) for digest, image in images.items()]


def _load_one(members: _Members, blobs: BlobStore, one: Descriptor, platform: Platform) -> Descriptor:
    """One entry of index.json, with its blobs; of an index, the image for `platform`."""
    _put(members, blobs, one)
    found = parse_manifest(blobs.read(one.digest), one.media_type)
    if isinstance(found, Index):
        one = choose_platform(found, platform)
        _put(members, blobs, one)
        found = parse_manifest(blobs.read(one.digest), one.media_type)
        if isinstance(found, Index):
            raise Invalid(message="image archive has an index of indexes")
    for blob in found.blobs:
        _put(members, blobs, blob)
    _check(blobs, found)
    return Descriptor(found.media_type, one.digest, one.size_bytes, platform=one.platform)


def _load_docker(members: _Members, blobs: BlobStore) -> Sequence[Stored]:
    try:
        listed = orjson.loads(members.read("manifest.json"))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"manifest.json of the image archive: {error}") from None
    if not isinstance(listed, list) or len(listed) > MAX_MANIFESTS or not all(isinstance(one, dict) for one in listed):
        raise Malformed("manifest.json of the image archive must be a list of objects")
    return [_load_docker_one(members, blobs, doc) for doc in listed]


def _load_docker_one(members: _Members, blobs: BlobStore, doc: Mapping[str, Any]) -> Stored:
    names, paths = doc.get("RepoTags") or [], doc.get("Layers") or []
    if not isinstance(names, list) or not isinstance(paths, list) or not all(isinstance(name, str) for name in names):
        raise Malformed("manifest.json of the image archive: RepoTags and Layers must be lists")
    raw = members.read(doc.get("Config"))
    config = blobs.put(raw)
    diff_ids = parse_config(raw).diff_ids
    if len(diff_ids) != len(paths):
        raise Invalid(message="image archive: configuration and manifest differ in layers")
    layers = tuple(_put_layer(members, blobs, path, diff_id) for path, diff_id in zip(paths, diff_ids, strict=True))
    manifest = Manifest(Descriptor(OCI_CONFIG, config.digest, config.size_bytes), layers)
    stored = blobs.put(manifest.encode())
    return Stored(Descriptor(OCI_MANIFEST, stored.digest, stored.size_bytes), tuple(names))


def _put_layer(members: _Members, blobs: BlobStore, path: object, diff_id: str) -> Descriptor:
    """Store a layer, packed or not; what is not packed must be what the configuration says, here and now."""
    with members.open(path) as file:
        packed = _MAGIC.get(file.read(2), "")
        file.seek(0)
        blob = blobs.put(cast("BinaryIO", file), digest="" if packed else diff_id)
    return Descriptor(f"{OCI_LAYER}{packed}", blob.digest, blob.size_bytes)


def _put(members: _Members, blobs: BlobStore, blob: Descriptor) -> None:
    if not blobs.has(blob.digest):
        with members.open(_blob_path(blob.digest)) as file:
            blobs.put(cast("BinaryIO", file), digest=blob.digest, size_bytes=blob.size_bytes)


def _check(blobs: BlobStore, manifest: Manifest) -> None:
    config = parse_config(blobs.read(manifest.config.digest))
    if len(config.diff_ids) != len(manifest.layers):
        raise Invalid(message="image archive: configuration and manifest differ in layers")


def _blob_path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix(PREFIX)}"


def _header(name: str, size_bytes: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size_bytes, 0o644
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size_bytes: int) -> bytes:
    return b"\0" * (-size_bytes % tarfile.BLOCKSIZE)
