"""Unpacked layers on disk, one directory each: what the overlay and copy drivers share.

    layers/<chain hex>/fs       a layer's own files, with overlayfs' marks for what it hides
    layers/<chain hex>/bytes    how many bytes are in them
    tmp/                        what is being made or removed; swept at start

A layer appears by one rename, after everything in it is on the disk.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from coracle.core.errors import Broken, CloudError, Exhausted, Invalid, NotFound, TooLarge
from coracle.image.digests import PREFIX, hex_of
from coracle.image.snapshots.api import Layer, Limits
from coracle.linux import mounts
from coracle.linux.removal import remove_tree
from coracle.linux.walks import walk

_UNTAR = "coracle.image.snapshots.untar"  # not imported: the daemon itself never reads archives
_FAILURES: dict[str, type[CloudError]] = {"too-large": TooLarge, "exhausted": Exhausted, "broken": Broken}


class Layers:
    def __init__(self, root: Path, limits: Limits) -> None:
        self._layers, self._tmp, self._limits = root / "layers", root / "tmp", limits
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self._layers, self._tmp):
            folder.mkdir(mode=0o700, exist_ok=True)

    def has(self, chain_id: str) -> bool:
        return (self._layers / hex_of(chain_id)).is_dir()

    def paths(self, chain: Sequence[str]) -> list[Path]:
        """The layers' directories, the topmost first, as overlayfs wants them.  Raises NotFound."""
        for chain_id in chain:
            if not self.has(chain_id):
                raise NotFound(kind="Layer", name=chain_id)
        return [self._layers / hex_of(chain_id) / "fs" for chain_id in reversed(chain)]

    def unpack(self, layer: Layer) -> None:
        """See Snapshotter.unpack."""
        top = layer.chain[-1]
        if self.has(top):
            return
        parents = self.paths(layer.chain[:-1])
        made = self.new_tmp("layer")
        try:
            (made / "fs").mkdir(mode=0o755)
            self._untar(layer, made / "fs", parents)
            (made / "bytes").write_text(str(content_bytes(made / "fs")))
            mounts.sync_file_system(made)
            self._publish(made, self._layers / hex_of(top))
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def size_bytes(self, chain_id: str) -> int:
        """See Snapshotter.layer_bytes."""
        [home] = self.paths([chain_id])
        try:
            return int((home.parent / "bytes").read_text())
        except (FileNotFoundError, ValueError):  # nobody has counted yet
            found = content_bytes(home)
            (home.parent / "bytes").write_text(str(found))
            return found

    def _untar(self, layer: Layer, target: Path, parents: list[Path]) -> None:
        asked = {
            "root": str(target),
            "parents": [str(parent) for parent in parents],
            "compression": layer.compression,
            "limits": asdict(self._limits),
        }
        try:
            with layer.blob.open("rb") as packed:
                ended = subprocess.run(
                    [sys.executable, "-P", "-s", "-m", _UNTAR, json.dumps(asked)],
                    stdin=packed,
                    capture_output=True,
                    env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"},
                    check=False,
                )
        except FileNotFoundError:
            raise NotFound(kind="Blob", name=layer.blob.name) from None
        _understand(ended.stdout, ended.stderr, layer.diff_id)

    def take(self, tree: Path, chain: Sequence[str]) -> None:
        """`tree` is the last layer of `chain` from now on; nothing to do where there is one.  Not synced."""
        top = chain[-1]
        if self.has(top):
            return
        self.paths(chain[:-1])
        made = self.new_tmp("layer")
        try:
            tree.rename(made / "fs")
            self._publish(made, self._layers / hex_of(top))
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def sync(self) -> None:
        mounts.sync_file_system(self._layers)

    def _publish(self, made: Path, name: Path) -> None:
        try:
            made.rename(name)
        except OSError:
            if not name.is_dir():  # else another thread was quicker with the same layer
                raise

    def collect(self, used: Collection[str]) -> int:
        """Remove every layer whose chain id is not in `used`; how many."""
        kept = {hex_of(chain_id) for chain_id in used}
        doomed = [entry for entry in os.scandir(self._layers) if entry.name not in kept]
        for entry in doomed:
            self.discard(Path(entry.path))
        return len(doomed)

    def list(self) -> tuple[str, ...]:
        """The chain ids of all layers."""
        return tuple(sorted(PREFIX + entry.name for entry in os.scandir(self._layers)))

    def new_tmp(self, what: str) -> Path:
        path = self._tmp / f"{what}-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        return path

    def discard(self, path: Path) -> None:
        """Remove a directory tree so that it is gone from its name at once, and never half there."""
        aside = self._tmp / f"gone-{secrets.token_hex(8)}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return
        remove_tree(aside)

    def sweep(self) -> None:
        """Remove what was being made or removed."""
        for entry in list(os.scandir(self._tmp)):
            remove_tree(entry.path)


def content_bytes(root: Path) -> int:
    """What the files of a tree hold, as tar counts it: each once however many names it has, directories nothing.

    Somebody may be changing the tree: no link is followed, and what goes meanwhile is not counted.
    """
    sizes: dict[tuple[int, int], int] = {}
    for folder in walk(root):
        for _, found in folder.entries:
            if stat.S_ISREG(found.st_mode):
                sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())


def _understand(said: bytes, complaint: bytes, diff_id: str) -> None:
    """Turn the helper's last words into success or an error."""
    try:
        doc = json.loads(said)
    except ValueError:
        raise Broken(f"unpacking a layer ended early: {complaint.decode(errors='replace')[-300:]}") from None
    if "failure" in doc:
        error = _FAILURES.get(doc["failure"], Invalid)
        raise error(message=doc["message"], kind="Layer", name=diff_id)
    if doc["diff_id"] != diff_id:
        raise Invalid(message=f"layer unpacks to {doc['diff_id']}, not {diff_id}", kind="Layer", name=diff_id)
