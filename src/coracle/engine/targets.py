"""The directories and files that a container's mounts are put on, made beforehand where an image lacks them.

The runtime would make them too, with a mode of its own (crun: the sticky bit), and they stay in what is committed.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Sequence

from coracle.linux.rooted import make_place_in_root
from coracle.runtime.api import Mount

_COVERED = ("/dev", "/proc", "/sys")  # something is mounted there first


def make_targets(rootfs_path: str, mounts: Sequence[Mount], mark: str = "") -> None:
    """And the file `mark`.  Blocks.  What cannot be made is left to the runtime to complain of."""
    targets = {posixpath.normpath(mount.target): mount for mount in mounts}
    covers = (*targets, *_COVERED)
    with contextlib.ExitStack() as stack:
        root = os.open(rootfs_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        for target, mount in targets.items():
            if any(target.startswith(f"{cover}/") for cover in covers):
                continue
            is_directory = mount.type != "bind" or os.path.isdir(mount.source)
            with contextlib.suppress(OSError):
                os.close(make_place_in_root(root, target, directory=is_directory))
        if mark:
            with contextlib.suppress(OSError):
                os.close(make_place_in_root(root, mark, directory=False))
