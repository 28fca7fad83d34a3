"""What the drivers share that keep each container's files in a directory of its own, above layers on disk.

containers/<id>/chain       the chain ids, as JSON
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from coracle.core.errors import NotFound
from coracle.image.snapshots.api import Layer, Limits, check_id
from coracle.image.snapshots.layers import Layers


class Homes:
    """The half of `api.Snapshotter` that does not depend on how a root file system is mounted."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self._layers = Layers(root, limits or Limits())
        self._containers = root / "containers"
        self._containers.mkdir(mode=0o700, exist_ok=True)

    def has_layer(self, chain_id: str) -> bool:
        return self._layers.has(chain_id)

    def layer_bytes(self, chain_id: str) -> int:
        return self._layers.size_bytes(chain_id)

    def unpack(self, layer: Layer) -> None:
        self._layers.unpack(layer)

    def list(self) -> tuple[str, ...]:
        return tuple(sorted(entry.name for entry in os.scandir(self._containers)))

    def collect(self, used: Collection[str]) -> int:
        kept = set(used)
        for id in self.list():
            kept.update(read_chain(self._containers / id))
        return self._layers.collect(kept)

    def sweep(self) -> None:
        self._layers.sweep()

    def _place(self, id: str) -> Path:
        """Where the container's directory is, or will be.  Raises Malformed."""
        return self._containers / check_id(id)

    def _home(self, id: str) -> Path:
        """Raises NotFound."""
        home = self._place(id)
        if not home.is_dir():
            raise NotFound(kind="Snapshot", name=id)
        return home


def read_chain(home: Path) -> list[str]:
    chain: list[str] = json.loads((home / "chain").read_text())
    return chain


def write_chain(home: Path, chain: Sequence[str]) -> None:
    (home / "chain").write_text(json.dumps(list(chain)))
