"""Keep older log files beside each running container's log: log.1 is what came before it, log.2 before that.

When its log is full, conmon writes a new file aside and renames it over the log: what was in the log would be gone.
A second name for the log, made in advance, holds on to it:

    log, log.next        one file under two names
    (conmon rotates)     log is new and empty; log.next is what was full
    (we are told)        log.1 becomes log.2 ..., log.next becomes log.1, log.next names the new log

One inotify descriptor for all containers, which only says when a file was renamed: nothing wakes us while they write.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from coracle.linux import inotify


class Rotation:
    """The logs being kept, by path.  `close` at the end; a later Rotation goes on where this one stopped."""

    def __init__(self) -> None:
        self._inotify: inotify.Inotify | None = None
        self._watches: dict[int, tuple[str, int]] = {}
        self._paths: dict[str, int] = {}

    def keep(self, path: str, older: int = 1) -> None:
        """Begin, or go on, with the log at `path`, which exists, and as many `older` ones.  Raises OSError."""
        if older < 1:
            return
        if self._inotify is None:
            self._inotify = inotify.Inotify()
            asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._look)
        watch = self._inotify.add(os.path.dirname(path), inotify.MOVED_TO | inotify.ONLYDIR)
        self._watches[watch], self._paths[path] = (path, older), watch
        _catch_up(path, older)

    def drop(self, path: str) -> None:
        """The container has ended: its log does not change any more."""
        watch = self._paths.pop(path, None)
        if watch is None:
            return
        _, older = self._watches.pop(watch)
        if self._inotify is not None:
            self._inotify.remove(watch)
        _catch_up(path, older)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.next")

    def close(self) -> None:
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None
        self._watches.clear()
        self._paths.clear()

    def _look(self) -> None:
        if self._inotify is None:
            return
        happened = self._inotify.read()
        lost = any(one.mask & inotify.OVERFLOW for one in happened)
        for watch in self._watches if lost else {one.watch for one in happened}:
            if watch in self._watches:
                _catch_up(*self._watches[watch])


def _catch_up(path: str, older: int) -> None:
    """Make `log.next` name the log, and what it named before, if that was another file, `log.1`."""
    try:
        if os.path.samefile(path, f"{path}.next"):
            return
        for number in range(older, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}.{number - 1}", f"{path}.{number}")
        os.rename(f"{path}.next", f"{path}.1")
    except FileNotFoundError:
        pass  # the first time
    with contextlib.suppress(FileNotFoundError):
        os.link(path, f"{path}.next")
