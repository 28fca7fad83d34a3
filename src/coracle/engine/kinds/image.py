"""Image: something to start containers from; its layers are with the snapshotter.

Named by the hex of the digest of its configuration.  `references` are its names as Docker shows them
("nginx:latest"); the full names are claims, so that a name means one image.

Spec
    id           "sha256:..."
    references   ["nginx:latest", ...]         digests  ["nginx@sha256:...", ...] (of manifests)
    manifest     digest of its manifest in the blob store
    size_bytes   of everything it needs, shared or not
    chain_ids    of its layers, the lowest first
    created      RFC 3339
    config       entrypoint, cmd, env, user, workdir, ports, volumes, stop_signal, labels, ... (image.config.Settings)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from coracle.core.errors import Invalid
from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object
from coracle.image.config import ImageConfig
from coracle.image.digests import chain_ids
from coracle.image.manifest import Manifest
from coracle.image.references import Reference, parse_reference

TYPE = "Image.engine"
API = "engine/v1"


def key(id: str) -> Key:
    """Where the image with this id (`sha256:<hex>` or the hex alone) lives."""
    return Key("", id.removeprefix("sha256:"))


def name_claim(reference: str) -> str:
    """The name under which a reference is held (core.claims).  Raises Malformed."""
    return f"image-name/{parse_reference(reference)}"


def claims(image: Object) -> Iterable[str]:
    return [name_claim(reference) for reference in image.spec["references"]]


def combine(
    config: Mapping[str, Any], command: Sequence[str] | None = None, args: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The program to run: the image's entrypoint and cmd, with what the user put in their place.

        image             command   args     runs
        [/ep] [foo bar]   -         -        /ep foo bar
        [/ep] [foo bar]   /x        -        /x
        [/ep] [foo bar]   -         zoo      /ep zoo
        [/ep] [foo bar]   /x        zoo      /x zoo

    Raises: Invalid, where nothing is left to run.
    Source: Kubernetes documentation, "Define a Command and Arguments for a Container"; Docker's --entrypoint agrees.
    """
    if command:
        argv = (*command, *(args or ()))
    else:
        argv = (*(config.get("entrypoint") or ()), *(args or config.get("cmd") or ()))
    if not argv:
        raise Invalid(message="no command specified")
    return argv


def to_record(digest: str, manifest: Manifest, config: ImageConfig, names: Sequence[Reference]) -> Object:
    """The record of an image whose manifest has that digest."""
    settings = {name: value for name, value in asdict(config.settings).items() if value}
    spec = {
        "id": manifest.config.digest,
        "references": [name.familiar for name in names if name.tag],
        "digests": [f"{name.familiar_name}@{digest}" for name in names],
        "manifest": digest,
        "size_bytes": manifest.config.size_bytes + sum(layer.size_bytes for layer in manifest.layers),
        "chain_ids": list(chain_ids(config.diff_ids)),
        "blobs": sorted({digest, manifest.config.digest, *(layer.digest for layer in manifest.layers)}),
        "config": settings,
        "created": config.created,
    }
    meta = Meta(name=key(manifest.config.digest).name)
    return Object(KIND.name, meta, {"spec": spec}, API)


def with_names(image: Object, digest: str, names: Sequence[Reference]) -> Object:
    """The image with `names` too.  `digest` of the manifest that came under them, "" for a mere tag."""
    digest = digest or image.spec["manifest"]
    references = [name.familiar for name in names if name.tag]
    digests = [f"{name.familiar_name}@{digest}" for name in names]
    return image.with_spec(
        references=list(dict.fromkeys([*image.spec["references"], *references])),
        digests=list(dict.fromkeys([*image.spec["digests"], *digests])),
    )


KIND = Kind(
    name="Image",
    plural="images",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
    claims=claims,
)
