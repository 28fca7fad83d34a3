"""Manifests and indexes: which blobs make an image.

OCI's and Docker's (schema 2) documents differ in media types only, and are kept as they came: an image's digest is the
digest of these bytes.  Schema 1 is refused: it names no configuration.

Source: OCI image specification 1.1, "Image Manifest" and "Image Index"; distribution "Manifest schema 2".
"""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from coracle.core.errors import Invalid, Malformed, NotFound
from coracle.image.digests import check_digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)

# How a layer's tar is packed, by media type.  "nondistributable" layers are the same bytes under another promise.
COMPRESSIONS: Mapping[str, str] = {
    OCI_LAYER: "",
    f"{OCI_LAYER}+gzip": "gzip",
    f"{OCI_LAYER}+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "",
    DOCKER_LAYER: "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
}

MAX_LAYERS = 500  # overlayfs stacks no more
MAX_MANIFESTS = 1_000
MAX_BLOB_BYTES = 1 << 50


@dataclass(frozen=True, slots=True)
class Platform:
    """Names as Go's: linux, amd64 or arm64, variant "" or v7, v8, ..."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def fits(self, other: Platform) -> bool:
        """Whether what was made for this one runs on `other`, as far as names tell."""
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and (not self.variant or not other.variant or self.variant == other.variant)

    def to_json(self) -> dict[str, Any]:
        doc = {"architecture": self.architecture, "os": self.os}
        return {**doc, "variant": self.variant} if self.variant else doc


def parse_platform(text: str) -> Platform:
    """`linux/arm64/v8`.  Raises Malformed."""
    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or not all(part and part.replace("_", "").replace("-", "").isalnum() for part in parts):
        raise Malformed(f"invalid platform {text[:100]!r}: expected os/architecture")
    return Platform(*parts)


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}


def host_platform() -> Platform:
    found = machine.machine()
    return Platform("linux", _ARCHITECTURES.get(found, found))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to a blob, with what is promised of it."""

    media_type: str
    digest: str
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None

    def to_json(self) -> dict[str, Any]:
        doc: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}
        if self.annotations:
            doc["annotations"] = dict(self.annotations)
        if self.platform:
            doc["platform"] = self.platform.to_json()
        return doc

    @classmethod
    def from_json(cls, doc: Any) -> Descriptor:
        """Raises Malformed.  `urls` is not read: where a blob comes from is not the image's to say."""
        if not isinstance(doc, dict) or not isinstance(doc.get("mediaType", ""), str):
            raise Malformed("invalid manifest: a descriptor must be an object")
        size = doc.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_BLOB_BYTES:
            raise Malformed(f"invalid manifest: size {str(size)[:40]} of a descriptor")
        return cls(doc.get("mediaType", ""), check_digest(doc.get("digest")), size, _texts(doc), _platform(doc))


@dataclass(frozen=True, slots=True)
class Manifest:
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = OCI_MANIFEST
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """What has to be transferred."""
        return self.config.size_bytes + sum(layer.size_bytes for layer in self.layers)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return (self.config, *self.layers)

    def encode(self) -> bytes:
        doc = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        return orjson.dumps({**doc, "annotations": dict(self.annotations)} if self.annotations else doc)


@dataclass(frozen=True, slots=True)
class Index:
    manifests: tuple[Descriptor, ...]
    media_type: str = OCI_INDEX
    annotations: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        doc = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "manifests": [one.to_json() for one in self.manifests],
        }
        return orjson.dumps({**doc, "annotations": dict(self.annotations)} if self.annotations else doc)


def parse_manifest(raw: bytes, media_type: str = "") -> Manifest | Index:
    """Read a manifest or an index; `media_type` is what its sender called it ("" where nobody did).

    A document that could be read as both, or whose own mediaType contradicts its sender's, is refused (CVE-2021-41190).
    Raises: Malformed, Invalid.
    """
    doc = parse_document(raw, "manifest")
    if doc.get("schemaVersion") != 2:
        raise Invalid(message=f"unsupported manifest schema version {str(doc.get('schemaVersion'))[:20]}")
    claimed = doc.get("mediaType") or media_type
    if media_type in INDEX_TYPES + MANIFEST_TYPES and claimed != media_type:
        raise Invalid(message=f"manifest calls itself {str(claimed)[:100]} and was sent as {media_type}")
    is_index, is_manifest = "manifests" in doc, "config" in doc or "layers" in doc
    if is_index and is_manifest:
        raise Invalid(message="ambiguous manifest: it lists both layers and manifests")
    if is_index and claimed in ("", *INDEX_TYPES):
        return Index(_descriptors(doc, "manifests", MAX_MANIFESTS), claimed or OCI_INDEX, _texts(doc))
    if is_manifest and claimed in ("", *MANIFEST_TYPES):
        return _manifest(doc, claimed or OCI_MANIFEST)
    raise Invalid(message=f"unsupported manifest type {str(claimed)[:100]!r}")


def choose_platform(index: Index, wanted: Platform) -> Descriptor:
    """The manifest for `wanted`: the same variant first, then any.  A lone entry without a platform is taken as meant.

    Raises: NotFound.
    """
    images = [one for one in index.manifests if one.media_type in ("", *MANIFEST_TYPES)]
    if len(images) == 1 and images[0].platform is None:
        return images[0]
    fitting = [
        one
        for one in images
        if one.platform and (one.platform.os, one.platform.architecture) == (wanted.os, wanted.architecture)
    ]
    exact = [one for one in fitting if one.platform and one.platform.variant == wanted.variant]
    if not fitting:
        raise NotFound(f"no matching manifest for {wanted} in the manifest list entries", kind="Image")
    return (exact or fitting)[0]


def compression_of(layer: Descriptor) -> str:
    """ "", "gzip" or "zstd".  Raises Invalid for a media type that is no layer."""
    try:
        return COMPRESSIONS[layer.media_type]
    except KeyError:
        raise Invalid(message=f"unsupported layer type {layer.media_type[:100]!r}") from None


def parse_document(raw: bytes, what: str) -> dict[str, Any]:
    """`raw` as a JSON object.  Raises Malformed."""
    try:
        doc = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"invalid {what}: {error}") from None
    if not isinstance(doc, dict):
        raise Malformed(f"invalid {what}: not an object")
    return doc


def _manifest(doc: Mapping[str, Any], media_type: str) -> Manifest:
    layers = _descriptors(doc, "layers", MAX_LAYERS)
    for layer in layers:
        compression_of(layer)
    return Manifest(Descriptor.from_json(doc.get("config")), layers, media_type, _texts(doc))


def _descriptors(doc: Mapping[str, Any], name: str, limit: int) -> tuple[Descriptor, ...]:
    listed = doc.get(name)
    if not isinstance(listed, list):
        raise Malformed(f"invalid manifest: {name} must be a list")
    if len(listed) > limit:
        raise Invalid(message=f"manifest lists {len(listed)} {name}, more than {limit}")
    return tuple(Descriptor.from_json(one) for one in listed)


def _texts(doc: Mapping[str, Any]) -> dict[str, str]:
    found = doc.get("annotations")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Malformed("invalid manifest: annotations must be an object")
    return {name: text for name, text in found.items() if isinstance(text, str)}


def _platform(doc: Mapping[str, Any]) -> Platform | None:
    found = doc.get("platform")
    if found is None:
        return None
    try:
        parts = (found["os"], found["architecture"], found.get("variant") or "")
    except (TypeError, KeyError, AttributeError):
        raise Malformed("invalid manifest: platform") from None
    if not all(isinstance(part, str) for part in parts):
        raise Malformed("invalid manifest: platform")
    return Platform(*parts)
