"""From the blobs of an image to layers that containers can stand on."""

from __future__ import annotations

from typing import Any

from coracle.core.errors import Invalid
from coracle.engine.kinds.image import Unpacked
from coracle.engine.works import Progress
from coracle.image import steps
from coracle.image.blobs import BlobStore
from coracle.image.config import parse_config
from coracle.image.digests import chain_ids
from coracle.image.manifest import Index, compression_of, parse_manifest
from coracle.image.snapshots.api import Layer, Snapshotter


def unpack(blobs: BlobStore, snapshotter: Snapshotter, digest: str, report: Progress) -> Unpacked:
    """Unpack what is not yet of the image whose manifest has that digest.  Blocks.

    Raises: NotFound (a blob), Malformed, Invalid, TooLarge, Exhausted.
    """
    manifest = parse_manifest(blobs.read(digest))
    if isinstance(manifest, Index):
        raise Invalid(message=f"{digest} is an index, not a manifest", kind="Image", name=digest)
    config = parse_config(blobs.read(manifest.config.digest))
    chain = chain_ids(config.diff_ids)
    if len(manifest.layers) != len(chain):
        raise Invalid(message=f"manifest lists {len(manifest.layers)} layers, its configuration {len(chain)}")
    for i, layer in enumerate(manifest.layers):
        packed: Any = compression_of(layer)
        report(steps.unpack(layer.digest), 0, layer.size_bytes)
        snapshotter.unpack(Layer(chain[: i + 1], config.diff_ids[i], blobs.path(layer.digest), packed))
        report(steps.unpack(layer.digest), layer.size_bytes, layer.size_bytes)
    return Unpacked(digest, manifest, config, tuple(snapshotter.layer_bytes(one) for one in chain))
