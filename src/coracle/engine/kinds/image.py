"""Image: something to start containers from; its layers are with the snapshotter.

Named by the hex of the digest of its configuration.  `references` are its names as Docker shows them
("nginx:latest"); the full names are claims, so that a name means one image.

Spec
    id           "sha256:..."
    references   ["nginx:latest", ...]
    digests      ["nginx@sha256:...", ...]: by which manifests registries and the catalogue gave it
    manifest     digest of its manifest in the blob store
    chain_ids    of its layers, the lowest first
    layer_bytes  what their files hold, in the same order
    size_bytes   the sum of these
    parent       id of the image that it was made from here, "" where that is not known
    platform     "linux/amd64"
    created      RFC 3339
    named        RFC 3339: when it got a name last, "" before
    config       entrypoint, cmd, env, user, workdir, ports, volumes, stop_signal, labels, ... (image.config.Settings)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An image whose layers are with the snapshotter.  `digest` is its manifest's."""

    digest: str
    manifest: Manifest
    config: ImageConfig
    layer_bytes: tuple[int, ...]


def to_record(image: Unpacked, parent: str = "") -> Object:
    """The record of an image without names."""
    digest, manifest, config = image.digest, image.manifest, image.config
    settings = {name: value for name, value in asdict(config.settings).items() if value}
    spec = {
        "id": manifest.config.digest,
        "references": [],
        "digests": [],
        "manifest": digest,
        "chain_ids": list(chain_ids(config.diff_ids)),
        "layer_bytes": list(image.layer_bytes),
        "size_bytes": sum(image.layer_bytes),
        "blobs": sorted({digest, manifest.config.digest, *(layer.digest for layer in manifest.layers)}),
        "parent": parent,
        "platform": str(config.platform),
        "config": settings,
        "created": config.created,
        "named": "",
    }
    meta = Meta(name=key(manifest.config.digest).name)
    return Object(KIND.name, meta, {"spec": spec}, API)


def with_name(image: Object, name: Reference, at: str, *, digest: str = "") -> Object:
    """The image with one more name.  `digest`: of the manifest that came under it from elsewhere."""
    references = [name.familiar] if name.tag and not name.digest else []
    digests = [f"{name.familiar_name}@{digest}"] if digest else []
    return image.with_spec(
        references=list(dict.fromkeys([*image.spec["references"], *references])),
        digests=list(dict.fromkeys([*image.spec["digests"], *digests])),
        named=at,
    )


def without(image: Object, names: Collection[str]) -> Object:
    """The image without these tags and digests."""
    return image.with_spec(
        references=[one for one in image.spec["references"] if one not in names],
        digests=[one for one in image.spec["digests"] if one not in names],
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
