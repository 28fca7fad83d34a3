"""What outlives containers and pods: <path>/<name>, a directory with what was put into it, or a block device's file.

They have no records: whoever makes one keeps its name, and removing what is not there is no error.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from coracle.core.errors import Broken, Exhausted, Invalid, Unsupported
from coracle.core.tasks import offload
from coracle.engine.filling import copy_file, copy_tree
from coracle.engine.volumefiles import telling
from coracle.linux import loops
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

    async def make_block(self, name: str, size_bytes: int) -> str:
        """The path of a file that holds what is on a block device: made, as it is, or grown; it fills as it is written.

        Raises: Invalid (name), Unsupported (no loop devices here), Exhausted (disk full, too large), Broken.
        """
        if not loops.available():
            raise Unsupported("this machine has no loop devices, which block volumes need", status=501)
        path = self._path / _checked(name)
        await offload(_make_block, path, size_bytes)
        return str(path)

    async def copy(self, source_path: str, name: str) -> None:
        """Put what is at `source_path`, made here, into the one of that name.  Raises: Invalid, Exhausted, Broken."""
        await offload(_copy, Path(source_path), self._path / _checked(name))

    async def scrub(self, path: str) -> None:
        """Remove all that is in a directory of the host, not itself.  Raises: Broken."""
        await offload(_scrub, Path(path))

    async def remove_path(self, path: str) -> None:
        """Remove a directory of the host with all that is in it.  Idempotent.  Raises: Broken."""
        try:
            await offload(remove_tree, path)
        except OSError as error:
            raise Broken(f"cannot remove {path}: {error.strerror or error}") from error

    async def empty(self) -> list[str]:
        """The names of those in which nothing is."""
        return await offload(_empty, self._path)

    async def remove(self, name: str) -> None:
        """With all that is in it.  Idempotent.  Raises: Invalid (name), Broken."""
        path = self._path / _checked(name)
        try:
            await offload(_remove, path)
        except OSError as error:
            raise Broken(f"cannot remove directory {name}: {error.strerror or error}") from error


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise Invalid(message=f"invalid directory name {name[:100]!r}")
    return name


def _empty(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.iterdir() if _holds_nothing(entry))
    except FileNotFoundError:
        return []


def _holds_nothing(path: Path) -> bool:
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_blocks == 0


def _remove(path: Path) -> None:
    if path.is_file():
        loops.detach(path)
        path.unlink()
    else:
        remove_tree(path)


def _make_block(path: Path, size_bytes: int) -> None:
    try:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < size_bytes:
                os.ftruncate(fd, size_bytes)
        finally:
            os.close(fd)
        loops.resized(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise (Exhausted if full else Broken)(f"cannot make block file {path.name}: {error.strerror}") from error


def _copy(source: Path, target: Path) -> None:
    """A file with its holes, sharing blocks where that can be; of a directory no link is followed."""
    with telling(f"cannot copy to {target.name}"):
        if source.is_file():
            copy_file(str(source), str(target))
            return
        remove_tree(target)  # half of it may be there
        target.mkdir()
        copy_tree(str(source), str(target))


def _scrub(path: Path) -> None:
    try:
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                remove_tree(entry)
            else:
                entry.unlink()
    except OSError as error:
        raise Broken(f"cannot empty {path}: {error.strerror or error}") from error


def _make(path: Path) -> None:
    with telling(f"cannot make directory {path.name}"):
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        path.mkdir(exist_ok=True)
        path.chmod(0o777)  # whatever the umask is
