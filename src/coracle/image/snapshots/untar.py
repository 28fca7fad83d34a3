"""Unpack one layer, in a process of its own that has locked itself into the layer's directory.

Run by `layers.Layers`; reads the packed tar from standard input, says one JSON line on standard output.  It changes its
root before it looks at the first byte, so that no name in an archive can mean a file outside; it has imported all it
needs by then and forgets how to import more, and asks for no user by name, so that nothing inside is ever executed.

What an archive may not do is in `members`.  Python's extraction filters are not used: they refuse links that ordinary
images have, and know nothing of whiteouts.

Source: OCI image specification 1.1, "Layers"; stack.md section 6 (what tarfile's filters do to images);
docker.md 6.2, 6.3 (what has gone wrong elsewhere).
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import resource
import sys
import tarfile
import zlib
from typing import IO, Any

from coracle.image.snapshots.entries import entries
from coracle.image.snapshots.members import CHUNK_BYTES, Refused, Unpacker

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEMORY_BYTES = 2 << 30  # address space of this process: a window of zstd is 128 MiB at most


class Source:
    """The uncompressed tar as a file: counts and hashes what is read, and stops a bomb."""

    def __init__(self, packed: IO[bytes], compression: str, limits: dict[str, int]) -> None:
        self._tar = _decompressed(packed, compression)
        ratio_bytes = os.fstat(packed.fileno()).st_size * limits["max_ratio"]
        self.limit_bytes = min(limits["max_bytes"], max(ratio_bytes, limits["free_bytes"]))
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int) -> bytes:
        data: bytes = self._tar.read(size)
        self._hash.update(data)
        self.size_bytes += len(data)
        if self.size_bytes > self.limit_bytes:
            raise Refused("too-large", f"layer unpacks to more than {self.limit_bytes} bytes")
        return data

    def finish(self) -> str:
        """Read to the end, wherever the archive said it was; the diff id."""
        while self.read(CHUNK_BYTES):
            pass
        return "sha256:" + self._hash.hexdigest()


def _decompressed(packed: IO[bytes], compression: str) -> Any:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=packed)
    return zstd.ZstdFile(packed) if compression == "zstd" else packed


def lock_in(root: str) -> None:
    """Change the root to `root`, and lose the ability to import and to grow."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0)
    os.chroot(root)
    os.chdir("/")
    sys.path.clear()
    sys.meta_path.clear()


def unpack(packed: IO[bytes], compression: str, parents: list[int], limits: dict[str, int]) -> dict[str, Any]:
    """Unpack into the current root; what is said on success.  Raises Refused and what the libraries raise."""
    source = Source(packed, compression, limits)
    unpacker = Unpacker(parents, limits["max_entries"], source.limit_bytes)
    unpacker.start()
    for archive, member in entries(source):
        unpacker.archive = archive
        unpacker.apply(member)
    unpacker.finish()
    return {"diff_id": source.finish(), "size_bytes": source.size_bytes}


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_PLACE = (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EEXIST, errno.ENOENT, errno.EISDIR, errno.EINVAL)


def explain(error: Exception) -> dict[str, Any]:
    """What is said on failure."""
    if isinstance(error, Refused):
        return {"failure": error.kind, "message": str(error)}
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return {"failure": "exhausted", "message": "no space left for the layer"}
    if isinstance(error, OSError) and error.errno in _NO_PLACE:
        return {"failure": "invalid", "message": f"the layer cannot be laid out: {error}"}
    if isinstance(error, MemoryError):
        return {"failure": "too-large", "message": "the layer needs too much memory to unpack"}
    if isinstance(error, (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, zstd.ZstdError, ValueError)):
        return {"failure": "invalid", "message": f"not a layer: {error}"}
    if isinstance(error, (OverflowError, RecursionError, UnicodeError)):
        return {"failure": "invalid", "message": f"not a layer: {type(error).__name__}"}
    return {"failure": "broken", "message": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Arguments: one JSON object {root, parents, compression, limits}; the packed tar on standard input."""
    asked = json.loads(sys.argv[1])
    try:
        parents = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in asked["parents"]]
        packed = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
        lock_in(asked["root"])
        said = unpack(packed, asked["compression"], parents, asked["limits"])
    except Exception as error:  # the process ends here, and must say why without importing
        said = explain(error)
    os.write(1, json.dumps(said).encode())
    os._exit("failure" in said)


if __name__ == "__main__":
    main()
