"""Which files have changed below some paths: every directory there is watched, and the ones around what is not there.

Directories that appear are watched from then on, and what they have in them has changed too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from coracle.linux.inotify import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    IGNORED,
    ISDIR,
    MODIFY,
    MOVED_FROM,
    MOVED_TO,
    ONLYDIR,
    OVERFLOW,
    Happened,
    Inotify,
)

_MASK = ATTRIB | CLOSE_WRITE | CREATE | DELETE | MODIFY | MOVED_FROM | MOVED_TO | ONLYDIR


class Tree:
    """What is at `roots` (files, directories, or not there yet) and below.

    `passes_over` says of a directory that nothing in it counts: it is not watched.
    """

    def __init__(self, roots: Iterable[str], passes_over: Callable[[str], bool]) -> None:
        """Raises OSError (too many watches)."""
        self._roots, self._passes_over = sorted(set(roots)), passes_over
        self._inotify = Inotify()
        self._watched: dict[int, str] = {}
        try:
            self._cover()
        except BaseException:
            self._inotify.close()
            raise

    def fileno(self) -> int:
        """Readable when something has changed."""
        return self._inotify.fileno()

    def close(self) -> None:
        self._inotify.close()

    def present(self) -> set[str]:
        """All files and directories there are, below the roots."""
        return {path for root in self._roots for path in (root, *self._below(root)) if os.path.lexists(path)}

    def changed(self) -> set[str]:
        """What has changed, come or gone since the last time."""
        found: set[str] = set()
        for happened in self._inotify.read():
            if happened.mask & OVERFLOW:
                self._cover()
                return self.present()
            if happened.mask & IGNORED:
                self._watched.pop(happened.watch, None)
            elif happened.name and happened.watch in self._watched:
                found |= self._seen(os.path.join(self._watched[happened.watch], happened.name), happened)
        return found

    def _seen(self, path: str, happened: Happened) -> set[str]:
        if happened.mask & ISDIR and happened.mask & (CREATE | MOVED_TO):
            self._cover()
        elif happened.mask & ISDIR and happened.mask & MOVED_FROM:
            self._forget(path)
        new = happened.mask & ISDIR and happened.mask & (CREATE | MOVED_TO)
        candidates = [path, *self._below(path), *(self._uncovered(path) if new else ())] if new else [path]
        return {one for one in candidates if self._is_ours(one)}

    def _uncovered(self, path: str) -> Iterator[str]:
        """Roots that appeared with a directory above them, and what is in them."""
        for root in self._roots:
            if root.startswith(f"{path}/") and os.path.lexists(root):
                yield root
                yield from self._below(root)

    def _is_ours(self, path: str) -> bool:
        return any(path == root or path.startswith(f"{root.rstrip('/')}/") for root in self._roots)

    def _cover(self) -> None:
        """Watch every directory that counts, and for each root the one around it that is there."""
        for root in self._roots:
            above = os.path.dirname(root)
            while not os.path.isdir(above):
                above = os.path.dirname(above)
            self._add(above)
            for directory in (root, *self._below(root)):
                if os.path.isdir(directory) and (directory == root or not os.path.islink(directory)):
                    self._add(directory)

    def _below(self, directory: str) -> Iterator[str]:
        """Everything below a directory but what is passed over; nothing where it is none."""
        for base, directories, files in os.walk(directory):
            directories[:] = [name for name in directories if not self._passes_over(os.path.join(base, name))]
            yield from (os.path.join(base, name) for name in (*directories, *files))

    def _add(self, directory: str) -> None:
        try:
            self._watched[self._inotify.add(directory, _MASK)] = directory
        except (FileNotFoundError, NotADirectoryError):
            return  # it is gone again

    def _forget(self, directory: str) -> None:
        """Stop watching what was moved away; where it came to, it is seen as new."""
        for watch, path in list(self._watched.items()):
            if path == directory or path.startswith(f"{directory}/"):
                self._inotify.remove(watch)
                del self._watched[watch]
