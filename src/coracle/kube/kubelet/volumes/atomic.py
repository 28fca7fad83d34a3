"""A directory whose files are replaced all at once.

    ..2026_11_23_15_45_10.1234   the files as they are now
    ..data -> ..2026_...         changed by one rename: a reader sees all of the old files or all of the new
    name -> ..data/name          for the first part of every path

Source: the kubelet's atomic writer, whose layout programs rely on.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from coracle.kube.kubelet.volumes.ownership import mask
from coracle.kube.kubelet.volumes.payloads import File, Payload

_DATA, _NEW_DATA = "..data", "..data_tmp"


def write(volume: Path, payload: Payload, stamp: str, gid: int | None = None) -> bool:
    """Make `volume` hold exactly `payload`; `stamp` names this state of it (`2026_11_23_15_45_10`).

    `gid`: an fsGroup, which may read everything.  Returns whether anything had to change.  Raises OSError.
    """
    before = _current(volume)
    if before is not None and _holds(volume / before, payload, gid):
        return False
    fresh = Path(tempfile.mkdtemp(prefix=f"..{stamp}.", dir=volume))
    try:
        _fill(fresh, payload, gid)
    except BaseException:
        shutil.rmtree(fresh)
        raise
    if gid is not None:
        _give(volume, gid)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(volume / _NEW_DATA)
    os.symlink(fresh.name, volume / _NEW_DATA)
    os.rename(volume / _NEW_DATA, volume / _DATA)
    _show(volume, {path.split("/")[0] for path in payload})
    for name in os.listdir(volume):
        if name.startswith("..") and name not in (_DATA, fresh.name):
            shutil.rmtree(volume / name)
    return True


def _current(volume: Path) -> str | None:
    try:
        name = os.readlink(volume / _DATA)
    except OSError:
        return None
    return name if "/" not in name and name.startswith("..") else None


def _holds(current: Path, payload: Payload, gid: int | None) -> bool:
    """Whether the files there are these, and no others."""
    try:
        found = {str(path.relative_to(current)) for path in current.rglob("*") if path.is_file()}
        return found == set(payload) and all(_same(current / name, file, gid) for name, file in payload.items())
    except OSError:
        return False


def _same(path: Path, file: File, gid: int | None) -> bool:
    found = path.stat()
    wanted = _mode(file, gid)
    same = stat.S_IMODE(found.st_mode) == wanted and (gid is None or found.st_gid == gid)
    same = same and (file.uid is None or found.st_uid == file.uid)
    return same and found.st_size == len(file.data) and path.read_bytes() == file.data


def _mode(file: File, gid: int | None) -> int:
    return file.mode if gid is None else file.mode | mask(stat.S_IFREG, read_only=True)


def _fill(folder: Path, payload: Payload, gid: int | None) -> None:
    for name, file in payload.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        os.chown(path, -1 if file.uid is None else file.uid, -1 if gid is None else gid)
        path.chmod(_mode(file, gid))
    for path in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
        path.chmod(0o755)
        if gid is not None:
            _give(path, gid)


def _give(folder: Path, gid: int) -> None:
    os.chown(folder, -1, gid)
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | mask(stat.S_IFDIR, read_only=True))


def _show(volume: Path, names: set[str]) -> None:
    """A link for each name, and none for what is there no more."""
    for name in names:
        with contextlib.suppress(FileExistsError):
            os.symlink(f"{_DATA}/{name}", volume / name)
    for name in os.listdir(volume):
        if not name.startswith("..") and name not in names:
            os.unlink(volume / name)
