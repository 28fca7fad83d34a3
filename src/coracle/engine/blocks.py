"""Block devices that pods have, and which of them are files shown as devices.

    <owner's directory>/block.<volume>      a link to the file, while the owner has its device

A file's device goes with the last of its owners.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from coracle.core.errors import Broken, Invalid, NotFound, Unsupported
from coracle.linux import loops

_PREFIX = "block."


def hold(owner: Path, volume: str, source_path: str) -> str:
    """The device node at `source_path`, or that of the file there, held for `owner`.  Idempotent.

    Raises: NotFound, Invalid (it is neither), Unsupported (no loop devices here), Broken.
    """
    try:
        mode = os.stat(source_path).st_mode
    except FileNotFoundError as error:
        raise NotFound(f"{source_path} is not there", kind="Device", name=source_path) from error
    if stat.S_ISBLK(mode):
        return source_path
    if not stat.S_ISREG(mode):
        raise Invalid(message=f"{source_path} is not a block device")
    if not loops.available():
        raise Unsupported("this machine has no loop devices, which block volumes need", status=501)
    try:
        owner.mkdir(mode=0o711, parents=True, exist_ok=True)
        link = owner / f"{_PREFIX}{volume}"
        if not link.is_symlink():
            link.symlink_to(source_path)
        return loops.attach(source_path)
    except OSError as error:
        raise Broken(f"cannot make a block device of {source_path}: {error.strerror}") from error


def let_go(owner: Path) -> None:
    """What `owner` held; devices that nobody else holds go.  Idempotent.  Raises OSError."""
    for link in sorted(owner.glob(f"{_PREFIX}*")):
        if link.is_symlink():
            file_path = os.readlink(link)
            link.unlink()
            if not _held(owner.parent, file_path):
                loops.detach(file_path)


def _held(owners: Path, file_path: str) -> bool:
    links = (link for link in owners.glob(f"*/{_PREFIX}*") if link.is_symlink())
    return any(os.readlink(link) == file_path for link in links)
