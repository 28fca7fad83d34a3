"""BuildStep: one step of a build, kept so that the next build need not do it again.

Named by the digest of all that its outcome depends on (engine.builds.cache).  The image that it made is told whole; its
layers are with the snapshotter and the blob store, which keep them for it.

Spec
    parent       id of the image that it stood on, "" for nothing
    text         the instruction as written
    source       "" or what it came from: "local" (files of the context), "exec" (a program ran)
    config       the image's configuration as it was encoded
    layers       of the image, the lowest first: [{diff_id, digest, size_bytes, media_type}]
    chain_ids    of these layers
    size_bytes   of the layer that the step added
Status
    used_at      RFC 3339
    uses         how often it has been used again
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object

TYPE = "BuildStep.engine"
API = "engine/v1"


def key(name: str) -> Key:
    return Key("", name)


def to_record(name: str, spec: Mapping[str, Any], at: str) -> Object:
    """The record as it is first committed."""
    return Object(KIND.name, Meta(name=name), {"spec": dict(spec), "status": {"used_at": at, "uses": 0}}, API)


KIND = Kind(
    name="BuildStep",
    plural="buildsteps",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
)
