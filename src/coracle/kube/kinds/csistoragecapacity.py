"""CSIStorageCapacity: how much of a class a driver can still give on some nodes.

Source: Kubernetes storage.k8s.io/v1 API, CSIStorageCapacity; printed columns as `kubectl get csistoragecapacities`.
"""

from __future__ import annotations

from coracle.core.errors import invalid
from coracle.core.kind import Kind, Problems
from coracle.core.names import name_faults
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import label_selector, quantity

API = "storage.k8s.io/v1"
_AMOUNTS = ("capacity", "maximumVolumeSize")


def validate(capacity: Object) -> Problems:
    body = capacity.body
    name = body.get("storageClassName") or ""
    found = label_selector("nodeTopology", body.get("nodeTopology"))
    found += [invalid("storageClassName", name, fault) for fault in name_faults("subdomain", name)]
    for field in _AMOUNTS:
        found += quantity(field, body[field]) if body.get(field) is not None else []
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return [
        invalid(name, new.body.get(name), "field is immutable")
        for name in ("nodeTopology", "storageClassName")
        if new.body.get(name) != old.body.get(name)
    ]


KIND = Kind(
    name="CSIStorageCapacity",
    plural="csistoragecapacities",
    singular="csistoragecapacity",
    api=API,
    schema=schema(API, "CSIStorageCapacity"),
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("StorageClassName", lambda one: one.body.get("storageClassName") or "", "Of which class."),
        printing.text("Capacity", lambda one: one.body.get("capacity") or printing.UNSET, "How much there is."),
    ),
    counts_generations=False,
)
