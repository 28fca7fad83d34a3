"""Block devices that pods have: as they are, files shown as devices, and file systems on them.

    <owner's directory>/block.<volume>      a link to the file, while the owner has its device
    <owner's directory>/disk.<volume>       where a device's file system is mounted

A file's device goes with the last of its owners.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

from coracle.core.errors import Broken, Invalid, NotFound, Unsupported
from coracle.linux import loops, mounts

_PREFIX, _DISK = "block.", "disk."
_KIND = re.compile("[a-z0-9]{1,16}")


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


def mounted(owner: Path, volume: str, device_path: str, kind: str) -> str:
    """The directory where the device's file system is mounted; where it has none, one of that kind ("": ext4) is made.

    Idempotent.  Raises: Invalid (it has one of another kind; the kind cannot be made), Broken.
    """
    if kind and not _KIND.fullmatch(kind):
        raise Invalid(message=f"unknown file system {kind[:40]!r}")
    path = owner / f"{_DISK}{volume}"
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not mounts.is_mount_point(path):
            mounts.mount(_formatted(device_path, kind), path, source=device_path)
    except OSError as error:
        raise Broken(f"cannot mount {device_path}: {error.strerror or error}") from error
    return str(path)


def _formatted(device_path: str, kind: str) -> str:
    """The kind of file system that is on the device, in the end."""
    found = _said_by("blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "value", device_path)
    if found and kind and found != kind:
        raise Invalid(message=f'failed to mount the volume as "{kind}", it already contains {found}')
    if found:
        return found
    kind = kind or "ext4"
    options = ("-F", "-m0") if kind.startswith("ext") else ()
    try:
        done = subprocess.run([f"mkfs.{kind}", *options, device_path], capture_output=True, check=False)
    except FileNotFoundError:
        raise Invalid(message=f"this machine cannot make the file system {kind!r}") from None
    if done.returncode:
        raise Broken(f"cannot format {device_path}: {done.stderr.decode(errors='replace')[-300:]}")
    return kind


def _said_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=False).stdout.decode(errors="replace").strip()


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
