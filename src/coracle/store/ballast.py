"""Room on the disk that is held back for the store: on a full disk nobody could even be told that it is full.

A file of the size that is wanted, thrown overboard when a commit does not fit, and taken aboard again once there is
plenty of room.
"""

from __future__ import annotations

import os
from pathlib import Path

BALLAST_BYTES = 8 * 1024 * 1024
_PLENTY = 8  # times its size has to be free for it to be taken


class Ballast:
    """`path` is on the disk that it is held back from."""

    def __init__(self, path: Path, size_bytes: int = BALLAST_BYTES) -> None:
        self._path, self._size_bytes = path, size_bytes
        self.is_held = path.exists()

    def hold(self) -> bool:
        """Take it aboard, where there is plenty of room.  Returns whether it is there."""
        if self.is_held:
            return True
        try:
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize >= _PLENTY * self._size_bytes:
                _allocate(self._path, self._size_bytes)
                self.is_held = True
        except OSError:
            self._path.unlink(missing_ok=True)
        return self.is_held

    def release(self) -> bool:
        """Throw it overboard.  Returns whether that has made room."""
        if not self.is_held:
            return False
        self._path.unlink(missing_ok=True)
        self.is_held = False
        return True


def _allocate(path: Path, size_bytes: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size_bytes)
    finally:
        os.close(fd)
