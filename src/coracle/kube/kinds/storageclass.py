"""StorageClass: how persistent volumes are made for the claims that name it, or for those that name none.

Source: Kubernetes storage.k8s.io/v1 API, StorageClass; printed columns as `kubectl get storageclasses`.
"""

from __future__ import annotations

from collections.abc import Sequence

from coracle.core.errors import duplicate, forbidden, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.csirules import parameters, provisioner
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import unsupported
from coracle.kube.kinds.storagerules import BINDING_MODES, is_default

API = "storage.k8s.io/v1"
_FIXED = ("parameters", "provisioner", "reclaimPolicy")


def default(cls: Object) -> Object:
    body = absent(cls.body, reclaimPolicy="Delete", volumeBindingMode="Immediate")
    return Object(cls.kind, cls.meta, body, cls.api)


def validate(cls: Object) -> Problems:
    body = cls.body
    found = provisioner("provisioner", body.get("provisioner") or "")
    found += parameters("parameters", body.get("parameters") or {})
    if body["reclaimPolicy"] not in ("Delete", "Retain"):
        found.append(unsupported("reclaimPolicy", body["reclaimPolicy"], ("Delete", "Retain")))
    if body["volumeBindingMode"] not in BINDING_MODES:
        found.append(unsupported("volumeBindingMode", body["volumeBindingMode"], BINDING_MODES))
    return found + _topologies(body.get("allowedTopologies") or ())


def _topologies(terms: Sequence[Json]) -> Problems:
    found: Problems = []
    for index, term in enumerate(terms):
        at = f"allowedTopologies[{index}]"
        needs = term.get("matchLabelExpressions") or ()
        found += _topology(f"{at}.matchLabelExpressions", needs)
        if any(_said(needs) == _said(other.get("matchLabelExpressions") or ()) for other in terms[:index]):
            found.append(duplicate(f"{at}.matchLabelExpressions", ""))
    return found


def _topology(at: str, needs: Sequence[Json]) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, need in enumerate(needs):
        here, key, values = f"{at}[{index}]", need.get("key") or "", need.get("values") or ()
        if not values:
            found.append(required(f"{here}.values"))
        found += [duplicate(f"{here}.values[{i}]", value) for i, value in enumerate(values) if value in values[:i]]
        found += [invalid(f"{here}.key", key, fault) for fault in qualified_faults(key)]
        if key in seen:
            found.append(duplicate(f"{here}.key", key))
        seen.add(key)
    return found


def _said(needs: Sequence[Json]) -> dict[str, frozenset[str]]:
    return {need.get("key") or "": frozenset(need.get("values") or ()) for need in needs}


def validate_change(new: Object, old: Object, part: str) -> Problems:
    changed = [name for name in _FIXED if (new.body.get(name) or None) != (old.body.get(name) or None)]
    found = [forbidden(name, f"updates to {name} are forbidden.") for name in changed]
    if new.body.get("volumeBindingMode") != old.body.get("volumeBindingMode"):
        found.append(invalid("volumeBindingMode", new.body.get("volumeBindingMode"), "field is immutable"))
    return found


def _name(cls: Object) -> str:
    return f"{cls.meta.name} (default)" if is_default(cls) else cls.meta.name


KIND = Kind(
    name="StorageClass",
    plural="storageclasses",
    singular="storageclass",
    short=("sc",),
    api=API,
    namespaced=False,
    schema=schema(API, "StorageClass"),
    default=default,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.text("Name", _name, "Name must be unique within a namespace."),
        printing.text("Provisioner", lambda cls: cls.body.get("provisioner", ""), "Who makes the volumes."),
        printing.text("ReclaimPolicy", lambda cls: cls.body.get("reclaimPolicy") or "Delete"),
        printing.text("VolumeBindingMode", lambda cls: cls.body.get("volumeBindingMode") or printing.UNSET),
        printing.text("AllowVolumeExpansion", lambda cls: "true" if cls.body.get("allowVolumeExpansion") else "false"),
        printing.AGE,
    ),
    counts_generations=False,
    loop="coracle.kube.controllers.storage.claims:ClaimBinder",
)
