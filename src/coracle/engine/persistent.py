"""Directories that outlive containers and pods: <path>/<name>, each with what was put into it.

They have no records: whoever makes one keeps its name, and removing what is not there is no error.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

from coracle.core.errors import Broken, Exhausted, Invalid
from coracle.core.tasks import offload
from coracle.linux.removal import remove_tree

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")


class PersistentDirectories:
    """A set of directories below `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def make(self, name: str) -> str:
        """The path of a directory that everybody may write to: made, or as it is.

        Raises: Invalid (name), Exhausted (disk full), Broken.
        """
        path = self._path / _checked(name)
        await offload(_make, path)
        return str(path)

    async def empty(self) -> list[str]:
        """The names of those in which nothing is."""
        return await offload(_empty, self._path)

    async def remove(self, name: str) -> None:
        """With all that is in it.  Idempotent.  Raises: Invalid (name), Broken."""
        path = self._path / _checked(name)
        try:
            await offload(remove_tree, path)
        except OSError as error:
            raise Broken(f"cannot remove directory {name}: {error.strerror or error}") from error


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise Invalid(message=f"invalid directory name {name[:100]!r}")
    return name


def _empty(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.iterdir() if not any(entry.iterdir()))
    except FileNotFoundError:
        return []


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        path.mkdir(exist_ok=True)
        path.chmod(0o777)  # whatever the umask is
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (Exhausted if full else Broken)(f"cannot make directory {path.name}: {error.strerror}") from error
