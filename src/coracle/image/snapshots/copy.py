"""Snapshots by copying: for file systems that overlayfs does not take as its upper layer.

    containers/<id>/rootfs      the root file system, all of it

Slow and large, and works anywhere: a container's first mount copies its image (sharing blocks where the file system
can), and what changed is found by comparing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from coracle.core.errors import Exhausted, Unsupported
from coracle.image.snapshots.api import Change, check_id
from coracle.image.snapshots.homes import Homes, read_chain, write_chain
from coracle.image.snapshots.layers import content_bytes
from coracle.image.snapshots.view import LayerView
from coracle.linux.idmaps import Users

_FICLONE = 0x40049409  # share the blocks of another file, until one of the two is written


class CopySnapshotter(Homes):
    """See `api.Snapshotter`.  Needs root."""

    def mount(self, id: str, chain: Sequence[str], *, read_only: bool = False, users: Users | None = None) -> Path:
        """Raises also Unsupported for `read_only` and `users`: there is no mount that could refuse or map."""
        if read_only or users is not None:
            raise Unsupported("copied snapshots cannot be mounted read-only, nor for other users", status=501)
        home = self._place(id)
        if not home.is_dir():
            self._create(home, chain)
        return home / "rootfs"

    def _create(self, home: Path, chain: Sequence[str]) -> None:
        layers = self._layers.paths(chain)
        made = self._layers.new_tmp("container")
        try:
            (made / "rootfs").mkdir(mode=0o755)
            copy_tree(layers, made / "rootfs")
            write_chain(made, chain)
            made.rename(home)
        except OSError as error:
            raise Exhausted(f"snapshot {home.name} cannot be copied: {error.strerror}") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def unmount(self, id: str) -> None:
        check_id(id)

    def remove(self, id: str) -> None:
        self._layers.discard(self._place(id))

    def usage_bytes(self, id: str) -> int:
        return content_bytes(self._home(id) / "rootfs")

    def changes(self, id: str) -> Iterator[Change]:
        home = self._home(id)
        return compare(LayerView(self._layers.paths(read_chain(home))), home / "rootfs")


def copy_tree(layers: Sequence[Path], target: Path) -> None:
    """Copy what `layers` (the topmost first) show together into the empty directory `target`.  Raises OSError."""
    copied: dict[tuple[int, int], Path] = {}
    folders: list[tuple[Path, os.stat_result]] = [(target, layers[0].stat())] if layers else []
    for path, source in LayerView(layers).walk():
        found = source.lstat()
        if stat.S_ISDIR(found.st_mode):
            (target / path).mkdir()
            folders.append((target / path, found))
        elif (inode := (found.st_dev, found.st_ino)) in copied:
            os.link(copied[inode], target / path, follow_symlinks=False)
        else:
            _copy_one(source, target / path, found)
            copied[inode] = target / path
    for folder, found in reversed(folders):
        _copy_attributes(folder, found)


def compare(lower: LayerView, root: Path) -> Iterator[Change]:
    """What differs between the tree `root` and the layers `lower`."""
    before = dict(lower.walk())
    for path in _paths(root, ""):
        source = before.pop(path, None)
        if source is None:
            yield Change("added", f"/{path}")
        elif _look(source.lstat()) != _look((root / path).lstat()):
            yield Change("modified", f"/{path}")
    gone: set[str] = set()
    for path in before:
        if path.rpartition("/")[0] not in gone:
            yield Change("deleted", f"/{path}")
        gone.add(path)


def _look(found: os.stat_result) -> tuple[int, ...]:
    """What of a file is compared: of a directory not its times, which change with its content."""
    if stat.S_ISDIR(found.st_mode):
        return found.st_mode, found.st_uid, found.st_gid
    return found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, found.st_rdev


def _paths(root: Path, folder: str) -> Iterator[str]:
    for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
        path = f"{folder}/{entry.name}" if folder else entry.name
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _paths(root, path)


def _copy_one(source: Path, target: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        with source.open("rb") as read, target.open("xb") as written:
            try:
                fcntl.ioctl(written, _FICLONE, read.fileno())
            except OSError:
                shutil.copyfileobj(read, written, 1 << 20)
    elif stat.S_ISLNK(found.st_mode):
        target.symlink_to(source.readlink())
    else:
        os.mknod(target, found.st_mode, found.st_rdev)
    _copy_attributes(target, found)
    if not stat.S_ISLNK(found.st_mode):
        for name in os.listxattr(source, follow_symlinks=False):
            if not name.startswith("trusted.overlay."):
                os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)


def _copy_attributes(target: Path, found: os.stat_result) -> None:
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        target.chmod(stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)
