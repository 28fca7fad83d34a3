"""An image while it is being built: what it is after each step.  Pure: a state is never changed, only followed.

The id of a state is that of the image it would be, the digest of its configuration; it stands for everything that
later steps depend on: files, settings (health check and triggers included) and history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from coracle.core.errors import Invalid
from coracle.image.config import History, ImageConfig, Settings, parse_config
from coracle.image.digests import chain_ids, digest_of
from coracle.image.manifest import (
    COMPRESSIONS,
    MAX_LAYERS,
    OCI_CONFIG,
    OCI_LAYER,
    Descriptor,
    Manifest,
    Platform,
)

CONFIG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LayerRef:
    """A layer in the blob store: `diff_id` of its tar, `digest` and `size_bytes` of the blob."""

    diff_id: str
    digest: str
    size_bytes: int
    media_type: str = OCI_LAYER


@dataclass(frozen=True, slots=True)
class State:
    """`id` is "" for nothing at all (FROM scratch)."""

    id: str
    config: ImageConfig
    layers: tuple[LayerRef, ...] = ()
    raw: bytes = field(default=b"", repr=False)

    @property
    def settings(self) -> Settings:
        return self.config.settings

    @property
    def chain(self) -> tuple[str, ...]:
        return chain_ids(layer.diff_id for layer in self.layers)

    @property
    def manifest(self) -> Manifest:
        described = (Descriptor(layer.media_type, layer.digest, layer.size_bytes) for layer in self.layers)
        return Manifest(Descriptor(OCI_CONFIG, self.id, len(self.raw)), tuple(described))

    def after(self, settings: Settings, history: History, layer: LayerRef | None = None, *, author: str = "") -> State:
        """The state after a step.  Raises Invalid: too many layers."""
        layers = (*self.layers, layer) if layer else self.layers
        if len(layers) > MAX_LAYERS:
            raise Invalid(message="max depth exceeded")
        config = replace(
            self.config,
            settings=settings,
            diff_ids=tuple(one.diff_id for one in layers),
            history=(*self.config.history, replace(history, empty_layer=layer is None)),
            created=history.created,
            author=author or self.config.author,
        )
        raw = config.encode()
        if len(raw) > CONFIG_BYTES:
            raise Invalid(message=f"the image's configuration is larger than {CONFIG_BYTES} bytes")
        return State(digest_of(raw), config, layers, raw)

    def without_triggers(self) -> State:
        """The same, as it is built on: triggers are for the next image only."""
        config = replace(self.config, settings=replace(self.settings, on_build=()))
        raw = config.encode()
        return State(digest_of(raw), config, self.layers, raw)

    def to_json(self) -> dict[str, Any]:
        layers = [asdict(layer) for layer in self.layers]
        return {"config": self.raw.decode(), "layers": layers, "chain_ids": list(self.chain)}


def nothing(platform: Platform) -> State:
    """FROM scratch."""
    config = ImageConfig(platform, Settings(), ())
    return State("", config, (), config.encode())


def from_json(doc: Mapping[str, Any]) -> State:
    raw = str(doc["config"]).encode()
    return State(digest_of(raw), parse_config(raw), tuple(LayerRef(**one) for one in doc["layers"]), raw)


def from_image(raw_config: bytes, manifest: Manifest) -> State:
    """The state that an image is.  Raises Malformed, Invalid."""
    config = parse_config(raw_config)
    layers = tuple(
        LayerRef(diff_id, layer.digest, layer.size_bytes, _layer_type(layer.media_type))
        for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True)
    )
    return State(digest_of(raw_config), config, layers, raw_config)


def _layer_type(media_type: str) -> str:
    """The OCI's word for a layer that is packed like this."""
    packed = COMPRESSIONS.get(media_type, "")
    return f"{OCI_LAYER}+{packed}" if packed else OCI_LAYER


def short(id: str) -> str:
    """How an id is shown: its first twelve digits."""
    return id.removeprefix("sha256:")[:12]
