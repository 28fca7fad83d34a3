"""RuntimeClass: how containers are run, what that costs on top, and which nodes can.

Source: Kubernetes node.k8s.io/v1 API, RuntimeClass; printed columns as `kubectl get runtimeclasses`.
"""

from __future__ import annotations

from coracle.core.errors import Problem, invalid
from coracle.core.kind import Kind, Problems
from coracle.core.names import label_problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podspec import placement
from coracle.kube.kinds.rules import named, quantity

API = "node.k8s.io/v1"


def validate(cls: Object) -> Problems:
    found: list[Problem] = named("label", "handler", cls.body.get("handler"))
    for name, amount in sorted(((cls.body.get("overhead") or {}).get("podFixed") or {}).items()):
        found += quantity(f"overhead.podFixed[{name}]", amount)
    places = cls.body.get("scheduling") or {}
    found += label_problems(places.get("nodeSelector"), "scheduling.nodeSelector")
    return found + placement.tolerations("scheduling.tolerations", places.get("tolerations") or ())


def validate_change(new: Object, old: Object, part: str) -> Problems:
    changed = new.body.get("handler") != old.body.get("handler")
    return [invalid("handler", new.body.get("handler"), "field is immutable")] if changed else []


KIND = Kind(
    name="RuntimeClass",
    plural="runtimeclasses",
    singular="runtimeclass",
    api=API,
    namespaced=False,
    schema=schema(API, "RuntimeClass"),
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Handler", lambda cls: cls.body.get("handler") or "", "Who runs the containers."),
        printing.AGE,
    ),
    counts_generations=False,
)
