"""VolumeAttachment: a volume that is to be, or is, attached to a node by a driver.

Source: Kubernetes storage.k8s.io/v1 API, VolumeAttachmentSpec; printed columns as `kubectl get volumeattachments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid, required, too_long
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.names import name_faults
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.csirules import driver_name
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.persistentvolume import inline_problems
from coracle.kube.kinds.rules import not_negative

API = "storage.k8s.io/v1"
_LONGEST_MESSAGE, _MOST_METADATA_BYTES = 1024, 256 * 1024


def assign(attachment: Object, old: Object | None, _reader: Reader) -> Object:
    """A new one is not attached yet."""
    return attachment if old is not None else attachment.with_body(status={"attached": False})


def validate(attachment: Object) -> Problems:
    spec = attachment.spec
    node = spec.get("nodeName") or ""
    found = driver_name("spec.attacher", spec.get("attacher") or "")
    found += _source("spec.source", spec.get("source") or {})
    found += [invalid("spec.nodeName", node, fault) for fault in name_faults("subdomain", node)]
    return found + _status(attachment.status)


def _source(at: str, given: Mapping[str, Any]) -> list[Problem]:
    name, inline = given.get("persistentVolumeName"), given.get("inlineVolumeSpec")
    said = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if name is None and inline is None:
        return [required(at, said)]
    if name is not None and inline is not None:
        return [forbidden(at, said)]
    if inline is not None:
        return inline_problems(f"{at}.inlineVolumeSpec", inline)
    here = f"{at}.persistentVolumeName"
    if not name:
        return [required(here, "must specify non empty persistentVolumeName")]
    return [invalid(here, name, fault) for fault in name_faults("subdomain", str(name))]


def _status(status: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    metadata = status.get("attachmentMetadata") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > _MOST_METADATA_BYTES:
        found.append(too_long("status.attachmentMetadata", _MOST_METADATA_BYTES))
    for name in ("attachError", "detachError"):
        error = status.get(name) or {}
        if len((error.get("message") or "").encode()) > _LONGEST_MESSAGE:
            found.append(too_long(f"status.{name}.message", _MOST_METADATA_BYTES))
        found += not_negative(f"status.{name}.errorCode", error.get("errorCode"))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return [] if new.spec == old.spec else [invalid("spec", dict(new.spec), "field is immutable")]


KIND = Kind(
    name="VolumeAttachment",
    plural="volumeattachments",
    singular="volumeattachment",
    api=API,
    namespaced=False,
    schema=schema(API, "VolumeAttachment"),
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Attacher", lambda one: one.spec.get("attacher") or "", "The driver that attaches."),
        printing.text("PV", lambda one: (one.spec.get("source") or {}).get("persistentVolumeName") or ""),
        printing.text("Node", lambda one: one.spec.get("nodeName") or "", "Where it is to be attached."),
        printing.truth("Attached", lambda one: bool(one.status.get("attached"))),
        printing.AGE,
    ),
    subresources=frozenset(("status",)),
    counts_generations=False,
)
