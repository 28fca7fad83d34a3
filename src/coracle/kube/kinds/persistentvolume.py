"""PersistentVolume: storage that outlives pods, waiting for a claim or bound to one.

Source: Kubernetes v1 API, PersistentVolumeSpec; printed columns as `kubectl get persistentvolumes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid, not_supported, required
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent, inside
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podspec.volumesources import host_path_problems, path_problems
from coracle.kube.kinds.rules import one_of, optional_name, unsupported
from coracle.kube.kinds.storagerules import (
    VOLUME_MODES,
    access_modes,
    amounts,
    capacity,
    class_of,
    phase,
    positive,
    short_modes,
)

PROTECTION = "kubernetes.io/pv-protection"
POLICIES = ("Delete", "Recycle", "Retain")
_NOT_SOURCES = frozenset(
    (
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    )
)


def sources(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the volume is made of: one of them, by the rules."""
    return {name: value for name, value in spec.items() if name not in _NOT_SOURCES and value is not None}


def default(volume: Object) -> Object:
    spec = absent(volume.body.get("spec"), persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if spec.get("capacity"):
        spec["capacity"] = amounts(spec["capacity"])
    spec = inside(spec, "hostPath", lambda given: absent(given, type=""))
    spec = inside(spec, "claimRef", lambda given: absent(given, kind="PersistentVolumeClaim", apiVersion="v1"))
    return volume.with_body(spec=spec)


def assign(volume: Object, old: Object | None, _reader: Reader) -> Object:
    """A new volume is pending, and held until no claim has it any more."""
    if old is not None:
        return volume
    held = tuple(dict.fromkeys((*volume.meta.finalizers, PROTECTION)))
    return volume.with_meta(finalizers=held).with_body(status={"phase": "Pending"})


def validate(volume: Object) -> Problems:
    spec = volume.spec
    found = access_modes("spec.accessModes", spec.get("accessModes") or (), "")
    found += _capacity(spec.get("capacity") or {})
    found += one_of("spec.persistentVolumeReclaimPolicy", spec["persistentVolumeReclaimPolicy"], POLICIES)
    if spec["volumeMode"] not in VOLUME_MODES:
        found.append(unsupported("spec.volumeMode", spec["volumeMode"], VOLUME_MODES))
    found += _node_affinity(spec.get("nodeAffinity"))
    found += optional_name("subdomain", "spec.storageClassName", spec.get("storageClassName"))
    return found + _sources(spec)


def _capacity(given: Mapping[str, Any]) -> list[Problem]:
    if not given:
        return [required("spec.capacity")]
    if set(given) != {"storage"}:
        return [not_supported("spec.capacity", dict(given), ("storage",))]
    return positive("spec.capacity[storage]", given["storage"])


def _node_affinity(given: Mapping[str, Any] | None) -> list[Problem]:
    if given is None:
        return []
    at = "spec.nodeAffinity.required"
    if not given.get("required"):
        return [required(at, "must specify required node constraints")]
    terms = given["required"].get("nodeSelectorTerms")
    return [] if terms else [required(f"{at}.nodeSelectorTerms", "must have at least one node selector term")]


def _sources(spec: Mapping[str, Any]) -> list[Problem]:
    said = list(sources(spec))
    if not said:
        return [required("spec", "must specify a volume type")]
    found = [forbidden(f"spec.{name}", "may not specify more than 1 volume type") for name in said[1:]]
    given = spec[said[0]]
    if said[0] == "hostPath":
        found += host_path_problems("spec.hostPath", given)
        if given.get("path") == "/" and spec["persistentVolumeReclaimPolicy"] == "Recycle":
            said_of_root = "may not be 'recycle' for a hostPath mount of '/'"
            found.append(forbidden("spec.persistentVolumeReclaimPolicy", said_of_root))
    if said[0] == "local":
        found += path_problems("spec.local.path", given.get("path") or "")
        if not spec.get("nodeAffinity"):
            found.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    if part == "status":
        return []
    found: Problems = []
    if sources(new.spec) != sources(old.spec):
        said = "spec.persistentvolumesource is immutable after creation"
        found.append(forbidden("spec.persistentvolumesource", said))
    if new.spec.get("volumeMode") != old.spec.get("volumeMode"):
        found.append(invalid("spec.volumeMode", new.spec.get("volumeMode"), "field is immutable"))
    before = old.spec.get("nodeAffinity")
    if before is not None and new.spec.get("nodeAffinity") != before:
        found.append(invalid("spec.nodeAffinity", new.spec.get("nodeAffinity"), "field is immutable"))
    return found


def claim_of(volume: Object) -> Mapping[str, Any]:
    """The claim that the volume is bound to or kept for, as an ObjectReference; empty where there is none."""
    return volume.spec.get("claimRef") or {}


def _claim(volume: Object) -> str:
    ref = claim_of(volume)
    return f"{ref.get('namespace')}/{ref.get('name')}" if ref else ""


KIND = Kind(
    name="PersistentVolume",
    plural="persistentvolumes",
    singular="persistentvolume",
    short=("pv",),
    namespaced=False,
    schema=schema("v1", "PersistentVolume"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Capacity", capacity, "How much the volume holds."),
        printing.text("Access Modes", lambda volume: short_modes(volume.spec.get("accessModes") or ())),
        printing.text("Reclaim Policy", lambda volume: volume.spec.get("persistentVolumeReclaimPolicy") or ""),
        printing.text("Status", phase, "Whether it is bound to a claim."),
        printing.text("Claim", _claim, "The claim that has it."),
        printing.text("StorageClass", class_of),
        printing.text("VolumeAttributesClass", lambda pv: pv.spec.get("volumeAttributesClassName") or printing.UNSET),
        printing.text("Reason", lambda volume: volume.status.get("reason") or ""),
        printing.AGE,
        printing.wide("VolumeMode", lambda volume: volume.spec.get("volumeMode") or printing.UNSET),
    ),
    subresources=frozenset(("status",)),
    counts_generations=False,
    loop="coracle.kube.controllers.storage.volumes:VolumeKeeper",
)
