"""Memory at /dev/shm that several containers share: a file system of the host's, bound into each of them.

`<run dir>/shm/<id>` belongs to the container that offered it and goes with it; who has it bound keeps it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container
from pathlib import Path

from coracle.core.errors import Conflict
from coracle.linux import mounts
from coracle.runtime.api import Bundle

_FLAGS = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC


def ensure(run_dir: Path, bundle: Bundle) -> str:
    """The directory that `bundle.shm` means, mounted if it is the container's own; "" for other meanings.

    Raises: Conflict (the other container is gone), OSError.
    """
    if bundle.shm == "shared":
        path = _path(run_dir, bundle.id)
        path.mkdir(parents=True, exist_ok=True, mode=0o711)
        release(run_dir, bundle.id, keep=True)
        mounts.mount("tmpfs", path, source="shm", flags=_FLAGS, data=f"mode=1777,size={bundle.shm_bytes}")
        return str(path)
    if bundle.shm.startswith("of:"):
        path = _path(run_dir, bundle.shm.removeprefix("of:"))
        if not os.path.ismount(path):
            raise Conflict(f"container {path.name} does not share its memory any more", kind="Container")
        return str(path)
    return ""


def release(run_dir: Path, id: str, *, keep: bool = False) -> None:
    """Take a container's own away, if it has any; `keep` the directory."""
    path = _path(run_dir, id)
    with contextlib.suppress(FileNotFoundError):
        mounts.unmount_all(path)
        if not keep:
            path.rmdir()


def sweep(run_dir: Path, known: Container[str]) -> None:
    """Take away those of containers that nobody knows: their creation was cut short."""
    with contextlib.suppress(FileNotFoundError):
        for id in os.listdir(run_dir / "shm"):
            if id not in known:
                release(run_dir, id)


def _path(run_dir: Path, id: str) -> Path:
    return run_dir / "shm" / id
