"""An OCI image layout: a directory of blobs, and `index.json` that names the images among them.

Names are ours to choose (annotation org.opencontainers.image.ref.name); other tools read the directory as well.
Blocks throughout.

Source: OCI image specification 1.1, "Image Layout".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from coracle.core.errors import Invalid
from coracle.image.blobs import BlobStore
from coracle.image.config import ImageConfig, parse_config
from coracle.image.manifest import Descriptor, Index, Manifest, parse_manifest

REF_NAME = "org.opencontainers.image.ref.name"
_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


class Layout:
    """Several processes may use one at once: the index changes by rename, under a lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = BlobStore(root)
        if not (root / "oci-layout").exists():
            write_aside(root / "oci-layout", _VERSION)

    def index(self) -> Index:
        """What the layout holds.  Raises Malformed, Invalid."""
        try:
            found = parse_manifest((self.root / "index.json").read_bytes())
        except FileNotFoundError:
            return Index(())
        return found if isinstance(found, Index) else Index(())

    def find(self, name: str) -> Descriptor | None:
        """The image of that name, if all its blobs are there."""
        for one in self.index().manifests:
            if one.annotations.get(REF_NAME) == name and has_all(self.blobs, one):
                return one
        return None

    def set(self, name: str, image: Descriptor) -> Descriptor:
        """Give `image` the name; another image loses it."""
        named = replace(image, annotations={**image.annotations, REF_NAME: name})
        with self.locked("index"):
            others = [one for one in self.index().manifests if one.annotations.get(REF_NAME) != name]
            write_aside(self.root / "index.json", Index((*others, named)).encode())
        return named

    def delete(self, name: str) -> None:
        """Take the name away.  Its blobs stay until `collect`."""
        with self.locked("index"):
            kept = tuple(one for one in self.index().manifests if one.annotations.get(REF_NAME) != name)
            write_aside(self.root / "index.json", Index(kept).encode())

    def collect(self) -> int:
        """Remove blobs that no named image uses; how many.  Nothing may be building meanwhile: take the locks first."""
        used: set[str] = set()
        for one in self.index().manifests:
            used.add(one.digest)
            used.update(blob.digest for blob in read_manifest(self.blobs, one).blobs)
        doomed = [blob.digest for blob in self.blobs.list() if blob.digest not in used]
        for digest in doomed:
            self.blobs.delete(digest)
        return len(doomed)

    @contextlib.contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Hold the lock `what` against other threads and processes; waits for it."""
        with (self.root / f".{what}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def read_manifest(blobs: BlobStore, image: Descriptor) -> Manifest:
    """Raises NotFound, Malformed, Invalid (also for an index: choose a platform first)."""
    found = parse_manifest(blobs.read(image.digest), image.media_type)
    if isinstance(found, Index):
        raise Invalid(message=f"{image.digest} is an index, not an image", kind="Image", name=image.digest)
    return found


def read_config(blobs: BlobStore, image: Descriptor) -> ImageConfig:
    """Raises NotFound, Malformed, Invalid."""
    return parse_config(blobs.read(read_manifest(blobs, image).config.digest))


def has_all(blobs: BlobStore, image: Descriptor) -> bool:
    """Whether the manifest and everything it names are there, as far as their sizes tell."""
    if not blobs.has(image.digest):
        return False
    return all(
        blobs.has(blob.digest) and blobs.size_bytes(blob.digest) == blob.size_bytes
        for blob in read_manifest(blobs, image).blobs
    )


def copy_image(source: BlobStore, target: BlobStore, image: Descriptor) -> None:
    """Bring the image's blobs from one store to another, by hard links where possible, each checked; manifest last.

    Raises: NotFound, Invalid (a damaged blob).
    """
    for blob in (*read_manifest(source, image).blobs, image):
        target.link(blob.digest, source.path(blob.digest))


def write_aside(path: Path, data: bytes) -> None:
    """Replace a file so that readers see the old or the new one, also after a crash."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
