"""VolumeAttributesClass: what volumes may have changed while they are used, in the words of a driver.

Source: Kubernetes storage.k8s.io/v1 API, VolumeAttributesClass; printed columns as `kubectl get vac`.
"""

from __future__ import annotations

from coracle.core.errors import forbidden
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.csirules import parameters, provisioner
from coracle.kube.kinds.definitions import schema

API = "storage.k8s.io/v1"


def validate(cls: Object) -> Problems:
    found = provisioner("driverName", cls.body.get("driverName") or "")
    return found + parameters("parameters", cls.body.get("parameters") or {}, needed=True)


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return [
        forbidden(name, f"updates to {name} are forbidden.")
        for name in ("driverName", "parameters")
        if (new.body.get(name) or None) != (old.body.get(name) or None)
    ]


KIND = Kind(
    name="VolumeAttributesClass",
    plural="volumeattributesclasses",
    singular="volumeattributesclass",
    short=("vac",),
    api=API,
    namespaced=False,
    schema=schema(API, "VolumeAttributesClass"),
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("DriverName", lambda cls: cls.body.get("driverName") or "", "The driver whose words these are."),
        printing.AGE,
    ),
    counts_generations=False,
)
