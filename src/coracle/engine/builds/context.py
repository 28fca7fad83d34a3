"""The files that came with a build, unpacked into a directory of its own.

Source: Dockerfile reference, ".dockerignore file"; moby's treatment of what a client did not leave out itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from coracle.core.errors import Invalid, Malformed
from coracle.engine.builds.archives import Unpacker
from coracle.image.dockerfile.ignore import Ignore
from coracle.image.dockerfile.parse import LIMIT_BYTES
from coracle.linux.rooted import read_in_root


@dataclass(slots=True)
class Context:
    """`root` holds the files; `digests` of their content, by path, were taken while they arrived."""

    root: Path
    digests: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of its root."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)


def unpack_context(file: BinaryIO, root: Path) -> Context:
    """Blocks.  Raises as Unpacker.unpack; `root` is the caller's to remove."""
    root.mkdir(mode=0o700, parents=True)
    context = Context(root)
    with context.opened() as fd:
        unpacker = Unpacker(fd)
        unpacker.unpack(file)
    context.digests = unpacker.digests
    return context


def read_dockerfile(context: Context, name: str = "") -> bytes:
    """The Dockerfile of that name.  It and .dockerignore go from the context where .dockerignore says so.  Blocks.

    Raises: Malformed (a name outside), Invalid (there is none), in the builder's words.
    """
    path = name or "Dockerfile"
    if os.path.isabs(path) or ".." in path.split("/") or "\0" in path:
        raise Malformed(f"the Dockerfile ({path[:200]}) must be within the build context")
    raw = _read(context, path)
    if raw is None and not name:
        path = "dockerfile"
        raw = _read(context, path)
    if raw is None:
        raise Invalid(message=f"Cannot locate specified Dockerfile: {(name or 'Dockerfile')[:200]}")
    ignored = _read(context, ".dockerignore")
    if ignored is not None:
        ignore = Ignore.parse(ignored.decode("utf-8", "replace"))
        for one in (path, ".dockerignore"):
            if ignore.excludes(one):
                (context.root / one).unlink(missing_ok=True)
    return raw


def _read(context: Context, path: str) -> bytes | None:
    try:
        return read_in_root(str(context.root), path, LIMIT_BYTES)
    except OSError as error:
        raise Invalid(message=f"failed to read {path[:200]}: {error.strerror}") from None


def drop(root: Path) -> bool:
    """Remove the builds' directory; whether a build was under way.  Blocks."""
    try:
        found = any(root.iterdir())
        shutil.rmtree(root)
    except FileNotFoundError:
        return False
    return found
