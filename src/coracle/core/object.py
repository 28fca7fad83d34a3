"""What is stored: an Object, its Meta, and how both are encoded.

An Object is read-only; changing means making another (`with_spec`, `with_status`, `with_meta`, `with_body`).  Its
encoding is the JSON that the API owning the kind speaks, `metadata.resourceVersion` included: the store keeps these
bytes and every edge sends them as they are.

Source: Kubernetes API conventions, "Metadata".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson

Json = dict[str, Any]


class Key(NamedTuple):
    """Where an object of one kind lives.  `namespace` is "" for things that have none."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner reference.  At most one owner of an object is its controller."""

    api: str
    kind: str
    name: str
    uid: str
    controller: bool = True
    block_deletion: bool = True

    def to_json(self) -> Json:
        return {
            "apiVersion": self.api,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            **({"controller": True} if self.controller else {}),
            **({"blockOwnerDeletion": True} if self.block_deletion else {}),
        }

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Owner:
        return cls(
            doc["apiVersion"],
            doc["kind"],
            doc["name"],
            doc["uid"],
            bool(doc.get("controller")),
            bool(doc.get("blockOwnerDeletion")),
        )


# Meta's fields by their JSON names, in the order in which they are written.
_TEXT = (("name", "name"), ("generateName", "generate_name"), ("namespace", "namespace"), ("uid", "uid"))
_KNOWN = {
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Meta:
    """What every stored thing has, whatever its kind.

    Units: `created` and `deleting` are RFC 3339 texts ("" where not set); `grace_s` seconds, None where not deleting.
    `revision` is the store's revision of the last change, 0 before the first; `extra` keeps metadata fields that we
    carry without reading (managedFields).
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    revision: int = 0
    generation: int = 0
    created: str = ""
    deleting: str = ""
    grace_s: int | None = None
    generate_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()
    finalizers: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def controller(self) -> Owner | None:
        return next((owner for owner in self.owners if owner.controller), None)

    def to_json(self) -> Json:
        doc: Json = {json: value for json, name in _TEXT if (value := getattr(self, name))}
        if self.revision:
            doc["resourceVersion"] = str(self.revision)
        if self.generation:
            doc["generation"] = self.generation
        if self.created:
            doc["creationTimestamp"] = self.created
        if self.deleting:
            doc["deletionTimestamp"] = self.deleting
        if self.grace_s is not None:
            doc["deletionGracePeriodSeconds"] = self.grace_s
        if self.labels:
            doc["labels"] = self.labels
        if self.annotations:
            doc["annotations"] = self.annotations
        if self.owners:
            doc["ownerReferences"] = [owner.to_json() for owner in self.owners]
        if self.finalizers:
            doc["finalizers"] = list(self.finalizers)
        doc.update(self.extra)
        return doc

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Meta:
        """Read checked JSON (see `core.schema`).  Raises ValueError where resourceVersion is not a number."""
        get = doc.get
        return cls(
            name=get("name") or "",
            namespace=get("namespace") or "",
            uid=get("uid") or "",
            revision=int(get("resourceVersion") or 0),
            generation=get("generation") or 0,
            created=get("creationTimestamp") or "",
            deleting=get("deletionTimestamp") or "",
            grace_s=get("deletionGracePeriodSeconds"),
            generate_name=get("generateName") or "",
            labels=get("labels") or {},
            annotations=get("annotations") or {},
            owners=tuple(Owner.from_json(owner) for owner in get("ownerReferences") or ()),
            finalizers=tuple(get("finalizers") or ()),
            extra={name: value for name, value in doc.items() if name not in _KNOWN},
        )


@dataclass(frozen=True, slots=True)
class Object:
    """A thing of a kind.  `body` is all but apiVersion, kind and metadata, under the API's own names.

    `api` is the API's group and version (`v1`, `apps/v1`, `engine/v1`).
    """

    kind: str
    meta: Meta
    body: Mapping[str, Any] = field(default_factory=dict)
    api: str = "v1"

    @property
    def type(self) -> str:
        """The kind's name in the store: `Pod`, `Deployment.apps`.  See `type_of`."""
        return type_of(self.api, self.kind)

    @property
    def key(self) -> Key:
        return Key(self.meta.namespace, self.meta.name)

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.body.get("spec") or {}
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.body.get("status") or {}
        return status

    def with_meta(self, **changes: Any) -> Object:
        return replace(self, meta=replace(self.meta, **changes))

    def with_body(self, **changes: Any) -> Object:
        return replace(self, body={**self.body, **changes})

    def with_spec(self, **changes: Any) -> Object:
        return self.with_body(spec={**self.spec, **changes})

    def with_status(self, **changes: Any) -> Object:
        return self.with_body(status={**self.status, **changes})

    def with_finalizer(self, name: str) -> Object:
        kept = self.meta.finalizers
        return self if name in kept else self.with_meta(finalizers=(*kept, name))

    def without_finalizer(self, name: str) -> Object:
        return self.with_meta(finalizers=tuple(one for one in self.meta.finalizers if one != name))

    def as_owner(self, *, controller: bool = True) -> Owner:
        return Owner(self.api, self.kind, self.meta.name, self.meta.uid, controller)

    def to_json(self) -> Json:
        return {"apiVersion": self.api, "kind": self.kind, "metadata": self.meta.to_json(), **self.body}

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Object:
        body = {name: value for name, value in doc.items() if name not in ("apiVersion", "kind", "metadata")}
        return cls(doc["kind"], Meta.from_json(doc.get("metadata") or {}), body, doc["apiVersion"])


def type_of(api: str, kind: str) -> str:
    """`Pod` for ("v1", "Pod"); `Deployment.apps` for ("apps/v1", "Deployment"): versions share what is stored."""
    group, slash, _ = api.partition("/")
    return f"{kind}.{group}" if slash else kind


def encode(obj: Object) -> bytes:
    """The object's JSON, to be kept for long.  Raises TypeError where the body holds what JSON cannot."""
    # Joined with nothing it is copied: orjson leaves its text in a buffer of 4 to 32 kB.
    return b"".join((orjson.dumps(obj.to_json(), option=orjson.OPT_NON_STR_KEYS), b""))


def decode(raw: bytes) -> Object:
    """What `encode` made; one Object for all who ask while it is fresh: nobody may change what it holds."""
    return _decode_once(raw) if len(raw) <= _SMALL_BYTES else _decode(raw)


def _decode(raw: bytes) -> Object:
    return Object.from_json(orjson.loads(raw))


# A pod that starts is decoded some two hundred times by all the loops, of ten different states.
_SMALL_BYTES = 16 * 1024
_decode_once = functools.lru_cache(maxsize=512)(_decode)
