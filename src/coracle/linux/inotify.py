"""Being told what happens to files, without asking: inotify(7) as one descriptor.

No waiting here: register `fileno()` with a loop and call `read` when it is readable.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

from coracle.linux.libc import checked, libc

ACCESS, MODIFY, ATTRIB, CLOSE_WRITE = 0x1, 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
OVERFLOW, IGNORED, ONLYDIR, ISDIR = 0x4000, 0x8000, 0x1000000, 0x40000000

_EVENT = struct.Struct("iIII")
_BUFFER_BYTES = 64 * 1024


class Happened(NamedTuple):
    """`watch` is the number `add` gave; `name` the file in a watched directory.  OVERFLOW: some were lost, look."""

    watch: int
    mask: int
    name: str


class Inotify:
    """A set of watched paths."""

    def __init__(self) -> None:
        """Raises OSError (too many instances)."""
        self._fd = _checked(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")

    def fileno(self) -> int:
        return self._fd

    def add(self, path: str, mask: int) -> int:
        """Watch `path`; the number its events carry.  Raises OSError (no such path, too many watches)."""
        return _checked(libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask)), path)

    def remove(self, watch: int) -> None:
        """Stop watching; nothing to do where the watched thing is gone."""
        libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Happened]:
        """What has happened since; empty when nothing has."""
        try:
            data = os.read(self._fd, _BUFFER_BYTES)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            found.append(Happened(watch, mask, os.fsdecode(name)))
            at += _EVENT.size + length
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _checked(result: int, what: str) -> int:
    try:
        return checked(result, what)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENOSPC):
            hint = "fs.inotify.max_user_instances or max_user_watches"
            raise OSError(error.errno, f"{error.strerror} ({hint})") from None
        raise
