"""PersistentVolume: storage that outlives pods, waiting for a claim or bound to one.

Source: Kubernetes v1 API, PersistentVolumeSpec; printed columns as `kubectl get persistentvolumes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid, not_supported, required
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing, remotesources
from coracle.kube.kinds.blanks import absent, inside
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podspec.placement import node_selector
from coracle.kube.kinds.podspec.volumesources import host_path_problems, path_problems
from coracle.kube.kinds.rules import one_of, optional_name, unsupported
from coracle.kube.kinds.storagerules import (
    VOLUME_MODES,
    access_modes,
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
    spec = inside(spec, "hostPath", lambda given: absent(given, type=""))
    for name in remotesources.NAMES:
        spec = inside(spec, name, partial(remotesources.default, name))
    spec = inside(spec, "claimRef", lambda given: absent(given, kind="PersistentVolumeClaim", apiVersion="v1"))
    return volume.with_body(spec=spec)


def assign(volume: Object, old: Object | None, _reader: Reader) -> Object:
    """A new volume is pending, and held until no claim has it any more."""
    if old is not None:
        return volume
    since = {"lastPhaseTransitionTime": volume.meta.created} if volume.meta.created else {}
    return volume.with_finalizer(PROTECTION).with_body(status={"phase": "Pending", **since})


def validate(volume: Object) -> Problems:
    return _problems("spec", volume.spec)


def inline_problems(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    """The rules for a volume that is no object, but said where it is used: only a driver's can be."""
    unwelcome = ("claimRef", "capacity", "nodeAffinity", "storageClassName")
    said = "may not be specified in the context of inline volumes"
    found = [forbidden(f"{at}.{name}", said) for name in unwelcome if spec.get(name)]
    if spec.get("csi") is None:
        found.append(required(f"{at}.csi", "has to be specified in the context of inline volumes"))
    found += access_modes(f"{at}.accessModes", spec.get("accessModes") or (), "")
    return found + _sources(at, spec)


def _problems(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    found = access_modes(f"{at}.accessModes", spec.get("accessModes") or (), "")
    found += _capacity(f"{at}.capacity", spec.get("capacity") or {})
    found += one_of(f"{at}.persistentVolumeReclaimPolicy", spec["persistentVolumeReclaimPolicy"], POLICIES)
    if spec["volumeMode"] not in VOLUME_MODES:
        found.append(unsupported(f"{at}.volumeMode", spec["volumeMode"], VOLUME_MODES))
    if spec.get("nodeAffinity") is not None:
        found += _node_affinity(f"{at}.nodeAffinity.required", spec["nodeAffinity"].get("required"))
    found += optional_name("subdomain", f"{at}.storageClassName", spec.get("storageClassName"))
    return found + _sources(at, spec) + _attributes(at, spec)


def _capacity(at: str, given: Mapping[str, Any]) -> list[Problem]:
    if not given:
        return [required(at), not_supported(at, {}, ("storage",))]
    if set(given) != {"storage"}:
        return [not_supported(at, dict(given), ("storage",))]
    return positive(f"{at}[storage]", given["storage"])


def _node_affinity(at: str, needed: Json | None) -> list[Problem]:
    if not needed:
        return [required(at, "must specify required node constraints")]
    return node_selector(at, needed)


def _attributes(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    name, here = spec.get("volumeAttributesClassName"), f"{at}.volumeAttributesClassName"
    if name is None:
        return []
    found = optional_name("subdomain", here, name) if name else [required(here, "an empty string is disallowed")]
    if spec.get("csi") is None:
        found.append(required(f"{at}.csi", "has to be specified when using volumeAttributesClassName"))
    return found


def _sources(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    said = list(sources(spec))
    if not said:
        return [required(at, "must specify a volume type")]
    found = [forbidden(f"{at}.{name}", "may not specify more than 1 volume type") for name in said[1:]]
    given = spec[said[0]]
    if said[0] == "hostPath":
        return found + _host_path(at, spec)
    if said[0] == "local":
        found += path_problems(f"{at}.local.path", given.get("path") or "")
        needed = [] if spec.get("nodeAffinity") else [f"{at}.nodeAffinity"]
        return found + [required(name, "Local volume requires node affinity") for name in needed]
    return found + remotesources.problems(f"{at}.{said[0]}", said[0], given, persistent=True)


def _host_path(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    found = host_path_problems(f"{at}.hostPath", spec["hostPath"])
    path = spec["hostPath"].get("path") or ""
    if path and not path.strip("/") and spec["persistentVolumeReclaimPolicy"] == "Recycle":
        said = "may not be 'recycle' for a hostPath mount of '/'"
        found.append(forbidden(f"{at}.persistentVolumeReclaimPolicy", said))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    if part == "status":
        return []
    found: Problems = []
    if _fixed_sources(new, old) != sources(old.spec):
        said = "spec.persistentvolumesource is immutable after creation"
        found.append(forbidden("spec.persistentvolumesource", said))
    if new.spec.get("volumeMode") != old.spec.get("volumeMode"):
        found.append(invalid("volumeMode", new.spec.get("volumeMode"), "field is immutable"))
    before = old.spec.get("nodeAffinity")
    if before is not None and new.spec.get("nodeAffinity") != before:
        said = "field is immutable, except for updating from beta label to GA"
        found.append(invalid("nodeAffinity", new.spec.get("nodeAffinity"), said))
    had = old.spec.get("volumeAttributesClassName")
    if had is not None and new.spec.get("volumeAttributesClassName") is None:
        found.append(forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
    return found


def _fixed_sources(new: Object, old: Object) -> dict[str, Any]:
    """What the volume is made of, without the one secret that may be added later."""
    found, added = sources(new.spec), "controllerExpandSecretRef"
    if "csi" in found and (old.spec.get("csi") or {}).get(added) is None:
        found["csi"] = {name: value for name, value in found["csi"].items() if name != added}
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
