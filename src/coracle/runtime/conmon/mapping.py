"""A bundle for other users than the host's: its files where those users reach them, and as they see them.

    <run dir>/mapped/<id>/root    the root file system
    <run dir>/mapped/<id>/<n>     the source of each bind mount, with its ids mapped

These are there only while the container is made, and only in our own mount namespace: it keeps what it has mounted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from coracle.linux import idmaps, mounts
from coracle.linux.idmaps import Users
from coracle.runtime.api import Bundle, Mount


@contextmanager
def reachable(bundle: Bundle, run_dir: Path) -> Iterator[Bundle]:
    """The bundle that the runtime is to be told of, for the time of the body.  Blocks for well under a millisecond.

    Raises: OSError (a file system whose ids cannot be mapped).
    """
    if bundle.users is None:
        yield bundle
        return
    directory = run_dir / "mapped" / bundle.id
    idmaps.hide(directory)
    try:
        root = directory / "root"
        root.mkdir(mode=0o711, parents=True)
        mounts.bind(Path(bundle.rootfs_path), root)
        mapped = tuple(
            _mapped(mount, directory / str(number), bundle.users) for number, mount in enumerate(bundle.mounts)
        )
        yield replace(bundle, rootfs_path=str(root), mounts=mapped)
    finally:
        idmaps.hide(directory)


def _mapped(mount: Mount, place: Path, users: Users) -> Mount:
    if mount.type != "bind":
        return mount
    if mount.mapped:
        idmaps.make_place(place, directory=os.path.isdir(mount.source))
        mounts.bind(Path(mount.source), place, recursive=True)
    else:
        idmaps.show(mount.source, place, users)
    return replace(mount, source=str(place))
