"""The three patches of Kubernetes, applied to an object and checked as what was sent would be.

Source: Kubernetes API concepts, "Updates to existing resources"; apiserver's patch handler for the messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from coracle.core import patch as patches
from coracle.core import restoring, strategic
from coracle.core.errors import Conflict, Invalid, Malformed, Problem, Unsupported, invalid
from coracle.core.kind import Kind
from coracle.core.object import Object
from coracle.core.schema import Schema
from coracle.core.strategic import go_print
from coracle.kube.api.codec import (
    IGNORE,
    STRICT,
    Decoded,
    check_depth,
    duplicates,
    field_validation,
    parse_yaml,
    to_object,
)
from coracle.web.messages import Request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = ("application/apply-patch+yaml", "application/apply-patch+cbor")
_UNKNOWN = "the body of the request was in an unknown format - accepted media types include: "

Apply = Callable[[Any], Any]


class Patch(NamedTuple):
    """A patch as it was sent: how to apply it to a document, and how strictly to take the result.

    `schema` is that of a strategic one.
    """

    apply: Apply
    sent: Any
    validation: str
    repeated: list[str]
    schema: Schema | None = None


def read_patch(request: Request, kind: Kind) -> Patch:
    """Raises Unsupported (415: an unknown or unsupported sort of patch), Malformed."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in APPLY:
        raise Unsupported(f"{media}: server-side apply is not supported yet, use client-side apply", status=415)
    if media not in (JSON_PATCH, MERGE_PATCH, STRATEGIC) or (media == STRATEGIC and not _is_strategic(kind)):
        known = (JSON_PATCH, MERGE_PATCH, STRATEGIC) if _is_strategic(kind) else (JSON_PATCH, MERGE_PATCH)
        raise Unsupported(_UNKNOWN + ", ".join(known), status=415)
    validation = field_validation(request, "PatchOptions")
    sent = _parse(request.body)
    if media == JSON_PATCH:
        return Patch(lambda doc: patches.apply_operations(doc, sent), sent, validation, [])
    if not isinstance(sent, dict):
        raise Malformed("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    repeated = duplicates(request.body, sent) if validation != IGNORE else []
    schema = kind.schema
    if media == STRATEGIC and isinstance(schema, Schema):
        return Patch(lambda doc: strategic.merge(doc, sent, schema), sent, validation, repeated, schema)
    return Patch(lambda doc: patches.merge(doc, sent), sent, validation, repeated)


def patched(old: Object, kind: Kind, patch: Patch) -> Decoded:
    """`old` with `patch` applied.

    Raises: Invalid (it cannot be applied, or the result is no such object), Malformed (a wrong directive, another
    name), Conflict (it asks for another revision or uid).
    """
    before = old.to_json()
    doc = patch.apply(before)
    wrong = restoring.fault(patch.schema, doc) if patch.schema is not None else ""
    if wrong:
        raise Invalid((invalid("patch", go_print(patch.sent), wrong),))
    if not isinstance(doc, dict) or not isinstance(doc.get("metadata", {}), dict):
        raise Invalid((_said(patch, "the patched object is no object"),))
    if (doc.get("apiVersion"), doc.get("kind")) != (before["apiVersion"], before["kind"]):
        raise Malformed(f"{doc.get('kind')} in version {doc.get('apiVersion')!r} is not the patched object's type")
    try:
        found = to_object(doc, kind, patch.validation, patch.repeated)
    except Malformed as error:
        raise Invalid((_said(patch, _after_colon(error.message)),)) from error
    _check_identity(old, found.obj, kind)
    return found


def _check_identity(old: Object, new: Object, kind: Kind) -> None:
    if new.meta.name != old.meta.name:
        said = f"the name of the object ({new.meta.name}) does not match the name on the URL ({old.meta.name})"
        raise Malformed(said)
    if new.meta.namespace != old.meta.namespace:
        raise Malformed("the namespace of the provided object does not match the namespace sent on the request")
    if new.meta.revision != old.meta.revision:
        raise Conflict(kind=kind.type, name=old.meta.name)
    if new.meta.uid != old.meta.uid:
        said = f"Precondition failed: UID in precondition: {new.meta.uid}, UID in object meta: {old.meta.uid}"
        raise Conflict(said, kind=kind.type, name=old.meta.name)


def _said(patch: Patch, text: str) -> Problem:
    """Strict errors show the patch as Go prints a map, others as it was sent."""
    shown = go_print(patch.sent) if patch.validation == STRICT and text.startswith("strict") else _json(patch.sent)
    return invalid("patch", shown, text)


def _after_colon(text: str) -> str:
    return text.partition(" cannot be handled as a ")[2].partition(": ")[2] or text


def _json(doc: Any) -> str:
    return orjson.dumps(doc).decode()


def _is_strategic(kind: Kind) -> bool:
    return isinstance(kind.schema, Schema)


def _parse(raw: bytes) -> Any:
    """JSON; or YAML, which patches may also be written in."""
    try:
        doc = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if raw.lstrip()[:1] in (b"{", b"[", b""):
            raise Malformed(f"error decoding patch: {error}") from error
        return parse_yaml(raw)
    check_depth(raw, doc)
    return doc
