"""PersistentVolumeClaim: storage asked for, and the volume that answers.

Source: Kubernetes v1 API, PersistentVolumeClaimSpec; printed columns as `kubectl get persistentvolumeclaims`; the
admission plugins DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from coracle.core.errors import Forbidden, Problem, forbidden, required
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Json, Key, Object
from coracle.core.quantity import ZERO, Quantity, parse
from coracle.kube.kinds import printing, storageclass
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.claimsources import data_source_problems, data_sources
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import label_selector, optional_name, unsupported
from coracle.kube.kinds.storagerules import (
    OLD_CLASS,
    VOLUME_MODES,
    access_modes,
    capacity,
    class_of,
    default_class,
    phase,
    positive,
    short_modes,
)

PROTECTION = "kubernetes.io/pvc-protection"
_CLASS = storageclass.KIND.type
_LARGER = "spec.resources.requests.storage"


def claim_spec(given: Mapping[str, Any] | None) -> Json:
    """A claim's spec, or that of a template for claims, with its defaults."""
    spec = absent(given, volumeMode="Filesystem")
    return data_sources({**spec, "resources": absent(spec.get("resources"))})


def default(claim: Object) -> Object:
    return claim.with_body(spec=claim_spec(claim.body.get("spec")))


def assign(claim: Object, old: Object | None, reader: Reader) -> Object:
    """A new claim is pending, of the default class where it names none, and held until no pod uses it any more.

    Raises: Forbidden, where a claim is to grow whose class does not allow it.
    """
    if old is not None:
        _may_grow(claim, old, reader)
        return claim
    claim = claim.with_finalizer(PROTECTION).with_body(status={"phase": "Pending"})
    if claim.spec.get("storageClassName") is not None or OLD_CLASS in claim.meta.annotations:
        return claim
    found = default_class(entry.object() for entry in reader.entries(_CLASS))
    return claim if found is None else claim.with_spec(storageClassName=found.meta.name)


def _may_grow(claim: Object, old: Object, reader: Reader) -> None:
    try:
        grows = bool(requested(old)) and requested(claim) > requested(old)
    except ValueError:
        return  # `validate` says what is wrong
    if not grows or old.status.get("phase") != "Bound":
        return
    entry = reader.find(_CLASS, Key("", class_of(old)))
    if entry is None or not entry.object().body.get("allowVolumeExpansion"):
        said = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize"
        )
        about = f'persistentvolumeclaims "{claim.meta.name}" is forbidden'
        raise Forbidden(f"{about}: {said}", kind=KIND.type, name=claim.meta.name)


def requested(claim: Object) -> Quantity:
    """How much is asked for.  Raises ValueError."""
    value = ((claim.spec.get("resources") or {}).get("requests") or {}).get("storage")
    return parse(value) if value is not None else ZERO


def spec_problems(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    """Every rule that a claim's spec, with its defaults, breaks; `at` is its path."""
    said = "at least 1 access mode is required"
    found = access_modes(f"{at}.accessModes", spec.get("accessModes") or (), said)
    found += label_selector(f"{at}.selector", spec.get("selector"))
    requests = (spec.get("resources") or {}).get("requests") or {}
    if "storage" in requests:
        found += positive(f"{at}.resources[storage]", requests["storage"])
    else:
        found.append(required(f"{at}.resources[storage]"))
    found += optional_name("subdomain", f"{at}.storageClassName", spec.get("storageClassName"))
    if spec["volumeMode"] not in VOLUME_MODES:
        found.append(unsupported(f"{at}.volumeMode", spec["volumeMode"], VOLUME_MODES))
    found += data_source_problems(at, spec)
    return found + optional_name("subdomain", f"{at}.volumeAttributesClassName", spec.get("volumeAttributesClassName"))


def validate(claim: Object) -> Problems:
    return spec_problems("spec", claim.spec)


def validate_change(new: Object, old: Object, part: str) -> Problems:
    """Only a bound claim may ask for more; the volume and a missing class are filled in once."""
    if part == "status":
        return []
    bound = old.status.get("phase") == "Bound"
    free = {"volumeAttributesClassName"} | ({"requests"} if bound else set())
    free |= {name for name in ("volumeName",) if not old.spec.get(name)}
    free |= {name for name in ("storageClassName",) if old.spec.get(name) is None}
    found: Problems = []
    if _fixed(new.spec, free) != _fixed(old.spec, free):
        said = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        found.append(forbidden("spec", said))
    return found + (_smaller(new, old) if bound else []) + _attributes(new, old)


def _fixed(spec: Mapping[str, Any], free: Collection[str]) -> Json:
    """`spec` without the fields in `free`, of which requests are those of resources."""
    resources = {name: value for name, value in (spec.get("resources") or {}).items() if name not in free}
    rest = {name: value for name, value in spec.items() if name not in free and value not in (None, "")}
    return {**rest, "storageClassName": _class_in(spec, free), "resources": resources}


def _class_in(spec: Mapping[str, Any], free: Collection[str]) -> str | None:
    """ "" is a class of its own: none at all."""
    return None if "storageClassName" in free else spec.get("storageClassName")


def _smaller(new: Object, old: Object) -> list[Problem]:
    try:
        shrinks = requested(new) < requested(old)
        under = requested(new) <= parse(capacity(old) or "0")
    except ValueError:
        return []
    return [forbidden(_LARGER, "field can not be less than status.capacity")] if shrinks and under else []


def _attributes(new: Object, old: Object) -> list[Problem]:
    """A class of attributes can be changed for another, not taken away."""
    had, has = (one.spec.get("volumeAttributesClassName") for one in (old, new))
    if had is None or has:
        return []
    what = "nil" if has is None else "an empty string"
    return [forbidden("spec.volumeAttributesClassName", f"update from non-nil value to {what} is forbidden")]


def is_bound(claim: Object) -> bool:
    return claim.status.get("phase") == "Bound" and bool(claim.spec.get("volumeName"))


def _if_bound(text: str, claim: Object) -> str:
    return text if claim.spec.get("volumeName") else ""


KIND = Kind(
    name="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    singular="persistentvolumeclaim",
    short=("pvc",),
    schema=schema("v1", "PersistentVolumeClaim"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Status", phase, "Whether it has a volume."),
        printing.text("Volume", lambda claim: claim.spec.get("volumeName") or "", "The volume it has."),
        printing.text("Capacity", lambda claim: _if_bound(capacity(claim), claim)),
        printing.text(
            "Access Modes", lambda claim: _if_bound(short_modes(claim.status.get("accessModes") or ()), claim)
        ),
        printing.text("StorageClass", class_of),
        printing.text(
            "VolumeAttributesClass", lambda claim: claim.spec.get("volumeAttributesClassName") or printing.UNSET
        ),
        printing.AGE,
        printing.wide("VolumeMode", lambda claim: claim.spec.get("volumeMode") or printing.UNSET),
    ),
    subresources=frozenset(("status",)),
    counts_generations=False,
    loop="coracle.kube.controllers.storage.claims:ClaimBinder",
)
