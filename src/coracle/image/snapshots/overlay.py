"""Snapshots by overlayfs: the layers are shared read-only, a container's changes lie in a directory of its own.

    containers/<id>/upper       what the container changed
    containers/<id>/work        overlayfs' own
    containers/<id>/merged      where the root file system is mounted
    containers/<id>/mapped      the layers as other users see them, while they are put together

The mount is made in the mount namespace of the calling process; a daemon that keeps its mounts to itself has entered
one of its own, and made the directory a private mount there.  A container that outlives the daemon keeps its view in
its own namespace; the next daemon mounts anew only what it starts anew.

Source: the kernel's Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from coracle.core.errors import Broken, Unsupported
from coracle.image.snapshots import tar
from coracle.image.snapshots.api import Change
from coracle.image.snapshots.homes import Homes, read_chain, write_chain
from coracle.image.snapshots.layers import content_bytes
from coracle.image.snapshots.view import LayerView, is_opaque, is_whiteout
from coracle.linux import idmaps, mounts
from coracle.linux.idmaps import Users
from coracle.linux.walks import walk

# `index` and `xino` off: a snapshot may be mounted again elsewhere while an old namespace still holds it.  The other
# two keep overlayfs from acting on marks that a hostile layer might have smuggled in.
OPTIONS = {"index": "off", "xino": "off", "metacopy": "off", "redirect_dir": "nofollow"}


class OverlaySnapshotter(Homes):
    """See `api.Snapshotter`, `api.Packs`, `api.Keeps`.  Needs root and a file system that overlayfs takes as upper."""

    def mount(self, id: str, chain: Sequence[str], *, read_only: bool = False, users: Users | None = None) -> Path:
        home = self._place(id)
        if not home.is_dir():
            self._create(home, chain, users.first if users is not None else 0)
        merged = home / "merged"
        if not os.path.ismount(merged):
            try:
                with _seen_by(users, self._lower(home), home / "mapped") as lower:
                    mounts.overlay(
                        merged, lower, upper=home / "upper", work=home / "work", options=OPTIONS, read_only=read_only
                    )
            except OSError as error:
                raise Broken(f"overlay of {id}: {error.strerror}", kind="Snapshot", name=id) from error
        return merged

    def _create(self, home: Path, chain: Sequence[str], first_id: int) -> None:
        """Make the container's directories: all of them, or none."""
        layers = self._layers.paths(chain)
        made = self._layers.new_tmp("container")
        for name in ("upper", "work", "merged", "empty"):
            (made / name).mkdir(mode=0o755)
        if layers:  # the merged root shows the attributes of the upper one
            found = layers[0].stat()
            os.chown(made / "upper", first_id + found.st_uid, first_id + found.st_gid)
            os.chmod(made / "upper", stat.S_IMODE(found.st_mode))
        write_chain(made, chain)
        try:
            made.rename(home)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if not home.is_dir():
                raise

    def _lower(self, home: Path) -> list[Path]:
        """The layers below, topmost first; an image of no layers stands on an empty directory."""
        return self._layers.paths(read_chain(home)) or [home / "empty"]

    def unmount(self, id: str) -> None:
        mounts.unmount_all(self._place(id) / "merged")

    def remove(self, id: str) -> None:
        self.unmount(id)
        self._layers.discard(self._place(id))

    def usage_bytes(self, id: str) -> int:
        return content_bytes(self._home(id) / "upper")

    def changes(self, id: str) -> Iterator[Change]:
        home = self._home(id)
        return _changes(home / "upper", LayerView(self._lower(home)))

    def pack(self, id: str, out: BinaryIO, *, without: Collection[str] = ()) -> str:
        return tar.pack(self._home(id) / "upper", out, without=without)

    def keep(self, id: str, chain: Sequence[str]) -> None:
        home = self._home(id)
        self.unmount(id)
        self._layers.take(home / "upper", chain)
        self.remove(id)

    def sync(self) -> None:
        self._layers.sync()


@contextlib.contextmanager
def _seen_by(users: Users | None, layers: Sequence[Path], directory: Path) -> Iterator[list[Path]]:
    """The layers as they are to `users`, for the time of the body: an overlay keeps what it was made of.

    Raises: Unsupported.
    """
    if users is None:
        yield list(layers)
        return
    idmaps.hide(directory)
    try:
        shown = [_shown(layer, directory / str(number), users) for number, layer in enumerate(layers)]
        yield shown
    finally:
        idmaps.hide(directory)


def _shown(layer: Path, place: Path, users: Users) -> Path:
    try:
        idmaps.show(str(layer), place, users)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise Unsupported(f"a root file system for other users: {error.strerror}", status=501) from error
    return place


def _changes(upper: Path, lower: LayerView) -> Iterator[Change]:
    """What is in `upper`, which a container may be changing."""
    for folder in walk(upper):
        prefix = f"{folder.path}/" if folder.path else ""
        for name, found in folder.entries:
            below = lower.find(prefix + name)
            if not is_whiteout(found):
                yield Change("modified" if below else "added", f"/{prefix}{name}")
            elif below:
                yield Change("deleted", f"/{prefix}{name}")
        if is_opaque(f"/proc/self/fd/{folder.fd}/."):
            hidden = set(lower.names(folder.path)) - {name for name, _ in folder.entries}
            yield from (Change("deleted", f"/{prefix}{name}") for name in sorted(hidden))
