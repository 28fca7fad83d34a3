"""IPAddress: an address that is somebody's.  Each cluster IP has one, named after it, for as long as its Service lasts.

Source: Kubernetes networking.k8s.io/v1 API, IPAddress; printed columns as `kubectl get ipaddresses`.
"""

from __future__ import annotations

from coracle.core.errors import invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import named, optional_name

API = "networking.k8s.io/v1"
MANAGED_BY, OURS = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
FAMILY = "ipaddress.kubernetes.io/ip-family"


def validate(address: Object) -> Problems:
    parent = address.spec.get("parentRef")
    if parent is None:
        return [required("spec.parentRef")]
    at = "spec.parentRef"
    found = optional_name("subdomain", f"{at}.group", parent.get("group"))
    found += named("path", f"{at}.resource", parent.get("resource"))
    found += named("path", f"{at}.name", parent.get("name"))
    return found + optional_name("path", f"{at}.namespace", parent.get("namespace"))


def validate_change(new: Object, old: Object, part: str) -> Problems:
    changed = new.spec.get("parentRef") != old.spec.get("parentRef")
    return [invalid("spec.parentRef", new.spec.get("parentRef"), "field is immutable")] if changed else []


def _parent(address: Object) -> str:
    parent = address.spec.get("parentRef") or {}
    group = f".{parent['group']}" if parent.get("group") else ""
    pieces = (f"{parent.get('resource', '')}{group}", parent.get("namespace"), parent.get("name"))
    return "/".join(piece for piece in pieces if piece)


KIND = Kind(
    name="IPAddress",
    plural="ipaddresses",
    singular="ipaddress",
    short=("ip",),
    api=API,
    namespaced=False,
    schema=schema(API, "IPAddress"),
    validate=validate,
    validate_change=validate_change,
    columns=(printing.NAME, printing.text("ParentRef", _parent, "Whose it is."), printing.AGE),
    name_rule="address",
    counts_generations=False,
    loop="coracle.kube.controllers.clusterips:ClusterIps",
)
