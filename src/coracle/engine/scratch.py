"""Directories that containers have in common with their pod or with the host.

    scratch    lives as long as its owner (emptyDir): <root>/scratch/<owner>/<volume>, on disk or in memory
    host path  the host's own, after the checks that its type asks for
    device     a block device, or a file shown as one
    part       a file or directory of another of these, held so that nobody can move it away before it is mounted

Called by the kubelet.  Scratch volumes have no records: their directories say all, `owners` lists them, and dropping
what is not there is no error.
Source: Kubernetes documentation, "Volumes": emptyDir, hostPath.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

from coracle.core.errors import Broken, Exhausted, Invalid, NotFound
from coracle.core.tasks import offload
from coracle.engine import blocks, hostpaths, volumeparts
from coracle.linux import mounts
from coracle.linux.removal import remove_tree
from coracle.linux.walks import walk

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")


class Scratch:
    def __init__(self, *, root_path: str) -> None:
        self._scratch = Path(root_path) / "scratch"

    async def scratch(self, owner: str, volume: str, *, medium: str = "", size_bytes: int | None = None) -> str:
        """An empty directory that everybody may write to: made, or as it is.

        `medium` "" is the disk, "Memory" a tmpfs of at most `size_bytes` (None: half of the machine's memory).
        Raises: Invalid (name, medium), Exhausted (disk full), Broken.
        """
        if medium not in ("", "Memory"):
            raise Invalid(message=f'unknown storage medium "{medium[:40]}"')
        path = self._scratch / _checked(owner) / _checked(volume)
        await offload(_make_scratch, path, medium, size_bytes)
        return str(path)

    async def part(self, owner: str, name: str, volume_path: str, below: str, *, make: bool = True) -> str:
        """Show what is at `below` in a volume at <root>/scratch/<owner>/<name>, and so to a container.

        With `make` missing directories are made, with the volume's mode.  Links count as inside the volume, whoever
        swaps them meanwhile.  Raises: NotFound (without `make`), Invalid (it leads nowhere), Exhausted, Broken.
        """
        path = self._scratch / _checked(owner) / _checked(name)
        if make:
            await offload(volumeparts.make, volume_path, below)
        await offload(volumeparts.hold, path, volume_path, below)
        return str(path)

    async def shared(self, owner: str, name: str, volume_path: str) -> str:
        """Show a volume at <root>/scratch/<owner>/<name> so that what one container mounts in it, others see there.

        Idempotent.  Raises: Broken.
        """
        path = self._scratch / _checked(owner) / _checked(name)
        await offload(volumeparts.share, path, volume_path)
        return str(path)

    async def passing(self, path: str) -> bool:
        """Let what is mounted below a directory of the host by one of us be seen there by all of us; never by the host.

        False where that is not done: no directory, or one below which something is mounted already.  Idempotent.
        Raises: Broken.
        """
        return await offload(hostpaths.pass_on, path)

    async def device(self, owner: str, volume: str, path: str) -> str:
        """The block device at `path`, or one that shows the file there, for `owner` until it is dropped.

        Idempotent.  Raises: Invalid (name; it is neither), NotFound, Unsupported, Broken.
        """
        return await offload(blocks.hold, self._scratch / _checked(owner), _checked(volume), path)

    async def local(self, owner: str, volume: str, path: str, kind: str = "") -> str:
        """A directory of the host as it is, or where the file system of a block device there is mounted.

        Where a device has none, one of that `kind` ("": ext4) is made.  Raises: Invalid, NotFound, Broken.
        """
        if await offload(hostpaths.is_block, path):
            return await offload(blocks.mounted, self._scratch / _checked(owner), _checked(volume), path, kind)
        if not await offload(os.path.exists, path):
            raise NotFound(f'path "{path}" does not exist', kind="Local", name=path)
        return await self.host_path(path, "Directory")

    async def drop_scratch(self, owner: str) -> None:
        """Remove everything of `owner`.  Idempotent."""
        await offload(_drop, self._scratch / _checked(owner))

    async def owners(self) -> Sequence[str]:
        """Who has scratch volumes: to find those whose owner is gone."""
        return await offload(_names, self._scratch)

    async def volumes(self, owner: str) -> Sequence[str]:
        """The names of what `owner` has here."""
        return await offload(_names, self._scratch / _checked(owner))

    async def usage_bytes(self, owner: str, volume: str) -> int:
        """What a scratch volume takes of its disk; 0 where there is none."""
        return await offload(_usage_bytes, self._scratch / _checked(owner) / _checked(volume))

    async def room(self, owner: str, volume: str) -> os.statvfs_result | None:
        """What the file system of a scratch volume says; None where there is no such volume."""
        try:
            return await offload(os.statvfs, self._scratch / _checked(owner) / _checked(volume))
        except FileNotFoundError:
            return None

    async def host_path(self, path: str, type: str = "") -> str:
        """The host's `path`, which must be of that type; the types ...OrCreate make what is missing.

        Raises: Invalid (no such type; there is something else), NotFound, in Kubernetes' words.
        """
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise Invalid(message=f"hostPath {path[:100]!r} must be absolute and must not contain '..'")
        if type:
            await offload(hostpaths.check, path, type)
        return path


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise Invalid(message=f"invalid volume name {name[:100]!r}")
    return name


def _make_scratch(path: Path, medium: str, size_bytes: int | None) -> None:
    try:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not path.exists():
            _publish(path)
        if medium == "Memory" and not mounts.is_mount_point(path):
            size = f",size={size_bytes}" if size_bytes else ""
            mounts.mount(
                "tmpfs", path, source="tmpfs", flags=mounts.MS_NODEV | mounts.MS_NOSUID, data=f"mode=0777{size}"
            )
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (Exhausted if full else Broken)(f"cannot make volume {path.name}: {error}") from error


def _publish(path: Path) -> None:
    """Make a directory that is everybody's from its first moment; what containers make of it later stays."""
    new = path.with_name(f"{path.name}.new")
    new.mkdir(exist_ok=True)
    new.chmod(0o777)  # whatever the umask is
    new.rename(path)


def _usage_bytes(path: Path) -> int:
    """Of blocks, each file once however many names it has."""
    sizes: dict[tuple[int, int], int] = {}
    with contextlib.suppress(FileNotFoundError):
        for folder in walk(path):
            sizes |= {(found.st_dev, found.st_ino): found.st_blocks * 512 for _, found in folder.entries}
    return sum(sizes.values())


def _drop(path: Path) -> None:
    """Unmount, then remove; nothing a container has put there leads out of it (it works by descriptors)."""
    blocks.let_go(path)
    for name in _names(path):
        mounts.unmount_all(path / name)
    remove_tree(path)


def _names(path: Path) -> Sequence[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
