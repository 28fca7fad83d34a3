"""A file or a directory of a volume: held so that nobody can move it away, or lead out of the volume by a link.

What is inside a volume belongs to containers and may change at any moment.  Everything here blocks.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from coracle.core.errors import Broken, CloudError, Invalid, NotFound
from coracle.engine import volumefiles
from coracle.linux import mounts, rooted


def hold(path: Path, volume_path: str, below: str) -> None:
    """Show at `path` what is at `below` in a volume.  Raises: NotFound, Invalid (it leads out or nowhere), Broken."""
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    try:
        found = rooted.open_within(volume_path, below, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"no such file or directory: {below[:200]}", kind="Subpath", name=below[:200]) from error
    except OSError as error:
        raise _leads_nowhere(below, error) from error
    try:
        volumefiles.show_open(str(path), found)
    finally:
        os.close(found)


def _leads_nowhere(below: str, error: OSError) -> CloudError:
    if error.errno == errno.EXDEV:
        return Invalid(message=f"subPath {below[:200]!r} is not within the volume")
    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENAMETOOLONG):
        return Invalid(message=f"subPath {below[:200]!r} leads to nothing in the volume")
    return volumefiles.broken(f"cannot make {below[:200]!r}", error)


def make(volume_path: str, below: str) -> None:
    """Directories down to `below`, unless something is there.  Raises: Invalid (it leads out or nowhere), Exhausted."""
    try:
        os.close(rooted.open_within(volume_path, below, os.O_PATH))
    except FileNotFoundError:
        _make_missing(volume_path, below)
    except OSError as error:
        raise _leads_nowhere(below, error) from error


def _make_missing(volume_path: str, below: str) -> None:
    try:
        root = os.open(volume_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _make_directories(root, below, stat.S_IMODE(os.fstat(root).st_mode))
        finally:
            os.close(root)
    except OSError as error:
        raise _leads_nowhere(below, error) from error


def _make_directories(root: int, below: str, mode: int) -> None:
    """With the root's mode, whatever the umask is."""
    done = ""
    for name in (name for name in below.split("/") if name not in ("", ".")):
        done += f"/{name}"
        try:
            os.close(rooted.open_in_root(root, done, os.O_PATH | os.O_DIRECTORY))
        except FileNotFoundError:
            fd = rooted.make_directory_in_root(root, done, mode)
            os.chmod(f"/proc/self/fd/{fd}", mode)
            os.close(fd)


def share(path: Path, volume_path: str) -> None:
    """Show the whole volume at `path`, so that what is mounted in it there is seen by all who have it from there."""
    try:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not path.exists() or not mounts.is_mount_point(path):
            volumefiles.show(str(path), volume_path, "")
            mounts.mount("none", path, flags=mounts.MS_REC | mounts.MS_SHARED)
    except OSError as error:
        raise Broken(f"cannot share volume {path.name}: {error.strerror}") from error
