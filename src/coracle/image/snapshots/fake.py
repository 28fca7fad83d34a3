"""A Snapshotter of plain directories, for tests of what stands above: no root, no mounts, no helper process.

It believes its archives: whoever tests hostile ones wants a real driver.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO, cast

from coracle.core.errors import Invalid, NotFound
from coracle.image.digests import digest_of, hex_of
from coracle.image.snapshots.api import Change, Layer, check_id
from coracle.image.snapshots.copy import compare
from coracle.image.snapshots.layers import content_bytes
from coracle.image.snapshots.untar import Source
from coracle.image.snapshots.view import LayerView
from coracle.linux.idmaps import Users

_LIMITS = {"max_bytes": 1 << 30, "max_ratio": 1 << 20, "free_bytes": 1 << 30}


class FakeSnapshotter:
    """Layers are whole trees, each a copy of the one below with its own changes; snapshots are copies of the last."""

    def __init__(self, root: Path) -> None:
        self._layers, self._containers = root / "layers", root / "containers"
        for folder in (self._layers, self._containers):
            folder.mkdir(parents=True, exist_ok=True)

    def has_layer(self, chain_id: str) -> bool:
        return (self._layers / hex_of(chain_id)).is_dir()

    def layer_bytes(self, chain_id: str) -> int:
        """Of the layer with those below it, since each is a whole tree here."""
        return content_bytes(self._top([chain_id]) or self._layers)

    def unpack(self, layer: Layer) -> None:
        if self.has_layer(layer.chain[-1]):
            return
        below = self._top(layer.chain[:-1])
        made = self._layers / f".{hex_of(layer.chain[-1])}"
        try:
            shutil.copytree(below, made, symlinks=True) if below else made.mkdir()
            _apply(layer, made)
            made.rename(self._layers / hex_of(layer.chain[-1]))
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def mount(self, id: str, chain: Sequence[str], *, read_only: bool = False, users: Users | None = None) -> Path:
        home = self._containers / check_id(id)
        if not home.is_dir():
            top = self._top(chain)
            home.mkdir()
            shutil.copytree(top, home / "rootfs", symlinks=True) if top else (home / "rootfs").mkdir()
            (home / "chain").write_text(json.dumps(list(chain)))
        return home / "rootfs"

    def unmount(self, id: str) -> None:
        check_id(id)

    def remove(self, id: str) -> None:
        shutil.rmtree(self._containers / check_id(id), ignore_errors=True)

    def list(self) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(self._containers)))

    def usage_bytes(self, id: str) -> int:
        return content_bytes(self._home(id) / "rootfs")

    def changes(self, id: str) -> Iterator[Change]:
        top = self._top(_chain(self._home(id)))
        return compare(LayerView([top] if top else []), self._home(id) / "rootfs")

    def pack(self, id: str, out: BinaryIO) -> str:
        root, buffer = self._home(id) / "rootfs", io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for change in self.changes(id):
                folder, _, name = change.path.strip("/").rpartition("/")
                if change.kind == "deleted":
                    archive.addfile(tarfile.TarInfo(f"{folder}/.wh.{name}".lstrip("/")))
                else:
                    archive.add(root / folder / name, f"{folder}/{name}".lstrip("/"), recursive=False)
        out.write(buffer.getvalue())
        return digest_of(buffer.getvalue())

    def keep(self, id: str, chain: Sequence[str]) -> None:
        if not self.has_layer(chain[-1]):
            (self._home(id) / "rootfs").rename(self._layers / hex_of(chain[-1]))
        self.remove(id)

    def sync(self) -> None:
        pass

    def collect(self, used: Collection[str]) -> int:
        kept = {hex_of(one) for one in used} | {hex_of(one) for id in self.list() for one in _chain(self._home(id))}
        doomed = [name for name in os.listdir(self._layers) if name not in kept]
        for name in doomed:
            shutil.rmtree(self._layers / name)
        return len(doomed)

    def sweep(self) -> None:
        for name in os.listdir(self._layers):
            if name.startswith("."):
                shutil.rmtree(self._layers / name)

    def _top(self, chain: Sequence[str]) -> Path | None:
        for chain_id in chain:
            if not self.has_layer(chain_id):
                raise NotFound(kind="Layer", name=chain_id)
        return self._layers / hex_of(chain[-1]) if chain else None

    def _home(self, id: str) -> Path:
        home = self._containers / check_id(id)
        if not home.is_dir():
            raise NotFound(kind="Snapshot", name=id)
        return home


def _apply(layer: Layer, target: Path) -> None:
    try:
        with layer.blob.open("rb") as packed:
            source = Source(packed, layer.compression, _LIMITS)
            with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r|") as archive:
                for member in archive:
                    _apply_one(archive, member, target)
            found = source.finish()
    except FileNotFoundError:
        raise NotFound(kind="Blob", name=layer.blob.name) from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Invalid(message=f"not a layer: {error}") from None
    if found != layer.diff_id:
        raise Invalid(message=f"layer unpacks to {found}, not {layer.diff_id}")


def _apply_one(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = target / member.name
    if path.name == ".wh..wh..opq":
        for name in os.listdir(path.parent) if path.parent.is_dir() else ():
            _delete(path.parent / name)
    elif path.name.startswith(".wh."):
        _delete(path.with_name(path.name.removeprefix(".wh.")))
    else:
        if not (member.isdir() and path.is_dir()):
            _delete(path)
        archive.extract(member, target, filter="fully_trusted", numeric_owner=True)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _chain(home: Path) -> list[str]:
    chain: list[str] = json.loads((home / "chain").read_text())
    return chain
