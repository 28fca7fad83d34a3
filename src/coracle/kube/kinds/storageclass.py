"""StorageClass: how persistent volumes are made for the claims that name it, or for those that name none.

Source: Kubernetes storage.k8s.io/v1 API, StorageClass; printed columns as `kubectl get storageclasses`.
"""

from __future__ import annotations

from coracle.core.errors import forbidden, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import unsupported
from coracle.kube.kinds.storagerules import BINDING_MODES, DEFAULT_CLASS

API = "storage.k8s.io/v1"
_MOST_PARAMETERS, _MOST_PARAMETER_BYTES = 512, 256 * 1024
_FIXED = ("parameters", "provisioner", "reclaimPolicy")


def default(cls: Object) -> Object:
    body = absent(cls.body, reclaimPolicy="Delete", volumeBindingMode="Immediate")
    return Object(cls.kind, cls.meta, body, cls.api)


def validate(cls: Object) -> Problems:
    body = cls.body
    found = _provisioner(body.get("provisioner") or "") + _parameters(body.get("parameters") or {})
    if body["reclaimPolicy"] not in ("Delete", "Retain"):
        found.append(unsupported("reclaimPolicy", body["reclaimPolicy"], ("Delete", "Retain")))
    if body["volumeBindingMode"] not in BINDING_MODES:
        found.append(unsupported("volumeBindingMode", body["volumeBindingMode"], BINDING_MODES))
    return found


def _provisioner(name: str) -> Problems:
    if not name:
        return [required("provisioner")]
    return [invalid("provisioner", name, fault) for fault in qualified_faults(name.lower())]


def _parameters(given: dict[str, str]) -> Problems:
    found: Problems = []
    if len(given) > _MOST_PARAMETERS:
        said = f"Too long: may not be more than {_MOST_PARAMETERS} bytes"
        found.append(invalid("provisioner.parameters", "Provisioner Parameters exceeded max allowed", said))
    if "" in given:
        found.append(invalid("parameters", "", "field can not be empty."))
    if sum(len(key.encode()) + len(value.encode()) for key, value in given.items()) > _MOST_PARAMETER_BYTES:
        found.append(invalid("parameters", "", f"may not be more than {_MOST_PARAMETER_BYTES} bytes"))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    changed = [name for name in _FIXED if (new.body.get(name) or None) != (old.body.get(name) or None)]
    found = [forbidden(name, f"updates to {name} are forbidden.") for name in changed]
    if new.body.get("volumeBindingMode") != old.body.get("volumeBindingMode"):
        found.append(invalid("volumeBindingMode", new.body.get("volumeBindingMode"), "field is immutable"))
    return found


def _name(cls: Object) -> str:
    return f"{cls.meta.name} (default)" if cls.meta.annotations.get(DEFAULT_CLASS) == "true" else cls.meta.name


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
