"""Kernel settings that several clouds of one machine need: raised by the first, put back by the last.

What a setting was, and who needs it changed, is written to a file before it is changed, under a lock that all clouds
share.  The file lies where a restart of the machine empties it, as that puts the settings back too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_ROOT = Path("/proc/sys")


def read(name: str) -> str:
    """`net/ipv4/ip_forward` -> "0".  Raises OSError."""
    return (_ROOT / name).read_text().strip()


def read_if_known(name: str) -> str:
    """ "" where the kernel has no such setting, or the link that it is of has gone."""
    with contextlib.suppress(OSError):
        return read(name)
    return ""


def write(name: str, value: str) -> None:
    """Raises OSError."""
    (_ROOT / name).write_text(value)


def is_known(name: str) -> bool:
    return (_ROOT / name).exists()


def write_if_known(name: str, value: str) -> None:
    """For a setting that not every kernel has (IPv6 may be off)."""
    with contextlib.suppress(FileNotFoundError):
        write(name, value)


class Ledger:
    """Who has changed which setting, and what it was."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def change(self, name: str, value: str, user: str) -> None:
        """Set `name` to `value` until `user` releases it.  Raises OSError."""
        with self._opened() as entries:
            entry = entries.setdefault(name, {"was": read(name), "users": []})
            entry["users"] = sorted({*entry["users"], user})
        if read(name) != value:
            write(name, value)

    def release(self, user: str, is_alive: Callable[[str], bool]) -> None:
        """`user` needs nothing any more; users that are gone count no more.  Raises OSError."""
        if not self._path.exists():
            return
        with self._opened() as entries:
            for name, entry in tuple(entries.items()):
                entry["users"] = [other for other in entry["users"] if other != user and is_alive(other)]
                if not entry["users"]:
                    write_if_known(name, entry["was"])
                    del entries[name]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[dict[str, Any]]:
        """The entries, under the lock, written back where they changed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            before = file.read()
            entries = json.loads(before) if before else {}
            yield entries
            after = json.dumps(entries, indent=1, sort_keys=True) if entries else ""
            if after != before:
                # In place: who waits for the lock has this very file open.
                os.ftruncate(file.fileno(), 0)
                os.pwrite(file.fileno(), after.encode(), 0)
