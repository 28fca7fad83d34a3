"""Several unpacked layers seen as one tree, without mounting: what is where, and what is hidden.

A layer hides a name below it by a character device 0:0 of that name (a whiteout), and all of a directory's lower
content by an extended attribute on the directory (opaque): overlayfs' own marks.

Source: the kernel's Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

OPAQUE = "trusted.overlay.opaque"


def is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(path: Path | str) -> bool:
    """Whether the directory hides what lower layers have in it."""
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


class LayerView:
    """The union of `layers`, the topmost first.  Paths are relative ("etc/passwd"), "" is the root."""

    def __init__(self, layers: Sequence[Path]) -> None:
        self._layers = tuple(layers)

    def find(self, path: str) -> Path | None:
        """The file that `path` shows, in the layer that has it; symbolic links are not followed."""
        for layer in self._layers:
            found, visible = _look(layer, path)
            if found or not visible:
                return found
        return None

    def walk(self, path: str = "") -> Iterator[tuple[str, Path]]:
        """Everything below the directory `path`: parents first, names in order."""
        for name in self.names(path):
            child = f"{path}/{name}" if path else name
            found = self.find(child)
            if found is not None:
                yield child, found
                if found.is_dir() and not found.is_symlink():
                    yield from self.walk(child)

    def names(self, path: str) -> list[str]:
        """What the directory `path` shows, and some of what is hidden in it; [] where there is none."""
        names: set[str] = set()
        for layer in self._layers:
            found, visible = _look(layer, path)
            if found:
                if found.is_symlink() or not found.is_dir():
                    break
                names.update(os.listdir(found))
                visible = visible and not is_opaque(found)
            if not visible:
                break
        return sorted(names)


def _look(layer: Path, path: str) -> tuple[Path | None, bool]:
    """The file in this layer alone, and whether lower layers may still show something at `path`."""
    here, visible = layer, True
    for name in path.split("/") if path else ():
        visible = visible and not is_opaque(here)
        here = here / name
        try:
            found = os.lstat(here)
        except (FileNotFoundError, NotADirectoryError):
            return None, visible
        if is_whiteout(found):
            return None, False
        if not stat.S_ISDIR(found.st_mode):
            visible = False  # a file hides a lower directory of its name, and everything in it
    return here, visible
