"""Files that are there whole or not at all, whoever is killed and whatever fails in the middle."""

from __future__ import annotations

import os
from pathlib import Path


def aside(path: Path) -> Path:
    """Where it lies until it is whole."""
    return path.with_name(f".{path.name}.new")


def write_whole(path: Path, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Make or replace the file, on the disk when this returns.  One writer at a time.  `owner`: uid and gid.

    Raises: OSError; then the file is as before, and no other is left.
    """
    fresh = aside(path)
    fresh.unlink(missing_ok=True)  # of one who was killed in the middle
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            if owner is not None:
                os.fchown(fd, *owner)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        fresh.unlink()
        raise
    fresh.rename(path)
