"""Bytes named by their digest: `blobs/sha256/<hex>` below one directory, as in an OCI image layout.

Nothing enters under a name that was not checked while it streamed past, and what is there is whole: bytes are written
aside (`ingest/`), synced, then renamed.  A transfer that broke off stays in `ingest/` under its expected digest and is
continued by the next `writer` for it.  Everything here blocks: call it from a thread.

Source: OCI image specification 1.1, "Image Layout"; bad inputs of `reference/docker.md` 6.3 item 4.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from coracle.core.errors import CloudError, Invalid, NotFound, TooLarge
from coracle.image.digests import PREFIX, check_digest, hex_of

CHUNK_BYTES = 1 << 20
LIMIT_BYTES = 64 << 30  # no single layer of a sane image is larger
DOCUMENT_BYTES = 8 << 20  # manifests and configs: registries refuse manifests over 4 MiB


@dataclass(frozen=True, slots=True)
class Blob:
    digest: str
    size_bytes: int


class BlobStore:
    """Content-addressed files.  Safe for several threads and processes at once: every step is a rename."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self._ingest = root / "ingest"
        self._quarantine = root / "quarantine"
        for folder in (self._blobs, self._ingest):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob is or would be.  Raises Malformed."""
        return self._blobs / hex_of(digest)

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def size_bytes(self, digest: str) -> int:
        """Raises NotFound."""
        with self._existing(digest):
            return self.path(digest).stat().st_size

    def open(self, digest: str) -> BinaryIO:
        """The blob for reading; the caller closes it.  Raises NotFound."""
        with self._existing(digest):
            return self.path(digest).open("rb")

    def read(self, digest: str, limit_bytes: int = DOCUMENT_BYTES) -> bytes:
        """A small blob, checked against its digest.  Raises NotFound, TooLarge, Invalid (and sets the blob aside)."""
        if self.size_bytes(digest) > limit_bytes:
            raise TooLarge(f"blob {digest} is larger than {limit_bytes} bytes", kind="Blob", name=digest)
        with self.open(digest) as file:
            data = file.read()
        if PREFIX + hashlib.sha256(data).hexdigest() != digest:
            self.quarantine(digest)
            raise Invalid(message=f"blob {digest} was damaged and has been set aside", kind="Blob", name=digest)
        return data

    def put(
        self, source: bytes | BinaryIO | Iterable[bytes], *, digest: str = "", size_bytes: int | None = None
    ) -> Blob:
        """Store `source`, whose digest and size must be as given where they are given.

        Raises: Invalid (other digest or size), TooLarge.  Then nothing is kept.
        """
        with self.writer(digest, size_bytes, resume=False) as writer:
            for chunk in _chunks(source):
                writer.write(chunk)
            return writer.commit()

    def writer(self, digest: str = "", size_bytes: int | None = None, *, resume: bool = True) -> BlobWriter:
        """A place to write one blob piece by piece; `writer.offset` says how much is there from before."""
        if digest:
            check_digest(digest)
        return BlobWriter(self._ingest, self._blobs, digest, size_bytes, resume=resume and bool(digest))

    def scratch(self) -> BinaryIO:
        """A file without a name beside the blobs, for what is not yet known to be one; gone when closed."""
        return cast("BinaryIO", tempfile.TemporaryFile(dir=self._ingest))

    def new_path(self) -> Path:
        """A name for a file to write and then `take`; what stays is swept at the next start."""
        return self._ingest / f".{secrets.token_hex(8)}"

    def take(self, file: Path, digest: str) -> Blob:
        """Publish a file written at a `new_path` under the digest that its writer has found.

        It is not synced: whoever relies on it syncs the file system.
        """
        size = file.stat().st_size
        file.rename(self.path(digest))
        return Blob(digest, size)

    def link(self, digest: str, other: Path) -> None:
        """Take the file `other` in by a hard link where the file system allows, else by copying.

        The file is read once to check it.  Raises Invalid where it is not what its name says, NotFound.
        """
        if self.has(digest):
            return
        try:
            with other.open("rb") as file:
                if _hash(file) != check_digest(digest):
                    raise Invalid(message=f"blob {digest} is damaged in {other.parent}", kind="Blob", name=digest)
                aside = self._ingest / f"{hex_of(digest)}.{secrets.token_hex(4)}"
                try:
                    os.link(other, aside)
                except OSError:  # another file system, or no hard links here
                    file.seek(0)
                    self.put(file, digest=digest)
                    return
        except FileNotFoundError:
            raise NotFound(kind="Blob", name=digest) from None
        aside.rename(self.path(digest))
        aside.unlink(missing_ok=True)  # rename does nothing between two names of one file
        _sync_directory(self._blobs)

    def delete(self, digest: str) -> None:
        """Remove the blob if it is there."""
        self.path(digest).unlink(missing_ok=True)

    def list(self) -> Iterator[Blob]:
        for entry in os.scandir(self._blobs):
            with contextlib.suppress(FileNotFoundError, CloudError):
                yield Blob(check_digest(PREFIX + entry.name), entry.stat(follow_symlinks=False).st_size)

    def verify(self, digest: str) -> bool:
        """Whether the stored bytes still are what the name says; if not, they are set aside.  Raises NotFound."""
        with self.open(digest) as file:
            if _hash(file) == digest:
                return True
        self.quarantine(digest)
        return False

    def quarantine(self, digest: str) -> None:
        """Move a damaged blob out of the way, where it can be looked at."""
        self._quarantine.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path(digest).rename(self._quarantine / hex_of(digest))

    def sweep(self) -> None:
        """Remove transfers that broke off.  For start-up: nothing else may be writing."""
        for entry in list(os.scandir(self._ingest)):
            os.unlink(entry.path)

    @contextlib.contextmanager
    def _existing(self, digest: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise NotFound(kind="Blob", name=digest) from None


class BlobWriter:
    """One blob on its way in.  A context manager: what is not committed is closed, and kept only if it can be resumed.

    Two writers for one digest do not disturb each other: the second finds the first one's file locked and starts anew.
    """

    def __init__(self, ingest: Path, blobs: Path, digest: str, size_bytes: int | None, *, resume: bool) -> None:
        self._blobs, self._digest, self._size_bytes = blobs, digest, size_bytes
        self._path = ingest / (hex_of(digest) if resume else f".{secrets.token_hex(8)}")
        self._file = self._path.open("a+b")
        self._keep = resume
        if not self._locked():
            self._file.close()
            self._path, self._keep = ingest / f".{secrets.token_hex(8)}", False
            self._file = self._path.open("a+b")
        self._hash = hashlib.sha256()
        self.offset = 0
        self._read_back()

    def _locked(self) -> bool:
        """Whether the file is ours alone, and still under its name: it may have been published since it was opened."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def _read_back(self) -> None:
        """Hash what an earlier transfer left."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            self._hash.update(chunk)
            self.offset += len(chunk)
        if self._size_bytes is not None and self.offset > self._size_bytes:
            self.restart()

    def restart(self) -> None:
        """Forget what was written: the other side does not continue where we stopped."""
        self._file.truncate(0)
        self._hash, self.offset = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        """Add `data`.  Raises TooLarge once more arrives than was announced."""
        limit = LIMIT_BYTES if self._size_bytes is None else self._size_bytes
        if self.offset + len(data) > limit:
            self._keep = False
            message = f"blob {self._digest} is larger than the announced {limit} bytes"
            raise TooLarge(message, kind="Blob", name=self._digest)
        self._file.write(data)
        self._hash.update(data)
        self.offset += len(data)

    def commit(self) -> Blob:
        """Check, sync and publish.  Raises Invalid: then nothing is kept."""
        digest = PREFIX + self._hash.hexdigest()
        self._keep = False
        if self._size_bytes is not None and self.offset != self._size_bytes:
            raise Invalid(
                message=f"blob {self._digest or digest} has {self.offset} bytes, not {self._size_bytes}", kind="Blob"
            )
        if self._digest and digest != self._digest:
            raise Invalid(message=f"blob {self._digest} arrived as {digest}", kind="Blob", name=self._digest)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._path.rename(self._blobs / hex_of(digest))
        self._keep = True  # the name in ingest/ is free again: it may already be another writer's
        _sync_directory(self._blobs)
        return Blob(digest, self.offset)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._keep:
            self._path.unlink(missing_ok=True)
        self._file.close()


def _chunks(source: bytes | BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
    elif hasattr(source, "read"):
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
    else:
        yield from source


def _hash(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        found.update(chunk)
    return PREFIX + found.hexdigest()


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
