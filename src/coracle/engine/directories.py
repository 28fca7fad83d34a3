"""Being woken when something happens in a directory: one inotify descriptor for any number of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from coracle.linux import inotify

_MASK = inotify.MODIFY | inotify.MOVED_TO | inotify.CREATE | inotify.ONLYDIR


class Directories:
    """Events by directory.  The descriptor is there while somebody watches."""

    def __init__(self) -> None:
        self._inotify: inotify.Inotify | None = None
        self._watchers: dict[int, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def watch(self, path: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever a file in `path` is made, written or replaced.  Raises OSError."""
        event = asyncio.Event()
        if self._inotify is None:
            self._inotify = inotify.Inotify()
            asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._wake, self._inotify)
        try:
            watch = self._inotify.add(path, _MASK)
        except OSError:
            self._close_unused()
            raise
        self._watchers.setdefault(watch, set()).add(event)
        try:
            yield event
        finally:
            self._leave(watch, event)

    def _wake(self, source: inotify.Inotify) -> None:
        for happened in source.read():
            lost = happened.mask & inotify.OVERFLOW
            watches = list(self._watchers) if lost else [happened.watch]
            for event in {event for watch in watches for event in self._watchers.get(watch, ())}:
                event.set()

    def _leave(self, watch: int, event: asyncio.Event) -> None:
        events = self._watchers[watch]
        events.discard(event)
        if not events:
            del self._watchers[watch]
            if self._inotify is not None:
                self._inotify.remove(watch)
        self._close_unused()

    def _close_unused(self) -> None:
        if self._inotify is not None and not self._watchers:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None
