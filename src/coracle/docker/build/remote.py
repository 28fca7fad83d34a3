"""Contexts that are fetched: `remote=http://...`, a tar or a Dockerfile.

Source: moby builder/remotecontext (what a remote may be); docker.md 6.2 (git references that become options).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from coracle.core.errors import Malformed, Unsupported
from coracle.engine.builds.downloads import download, is_git, is_url
from coracle.engine.builds.packed import is_archive
from coracle.image.dockerfile.parse import LIMIT_BYTES as DOCKERFILE_BYTES

LIMIT_BYTES = 4 << 30


@contextlib.asynccontextmanager
async def fetch_context(remote: str, home: Path) -> AsyncIterator[tuple[BinaryIO | None, bytes | None]]:
    """The archive that `remote` is, or the Dockerfile's text; fetched into the directory `home`.

    Raises: Malformed, Unsupported, Unavailable, TooLarge.
    """
    if not is_url(remote) or is_git(remote):
        if is_git(remote):
            raise Unsupported(
                "a git repository cannot be a build context here: clone it, and send the directory", status=501
            )
        raise Malformed(f"unable to determine the type of the remote context {remote[:200]!r}: use an http(s) address")
    fetched = await download(remote, home / "context", limit_bytes=LIMIT_BYTES)
    with fetched.path.open("rb") as file:
        if is_archive(file):
            yield file, None
            return
        text = file.read(DOCKERFILE_BYTES + 1)
    yield None, text
