"""PriorityClass: how much pods matter that name it, and whether they may drive others from their node.

Source: Kubernetes scheduling.k8s.io/v1 API, PriorityClass; printed columns as `kubectl get priorityclasses`.
"""

from __future__ import annotations

from coracle.core.errors import Forbidden, forbidden, invalid
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import unsupported

API = "scheduling.k8s.io/v1"
SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
PREEMPTS, WAITS = "PreemptLowerPriority", "Never"
_MOST, _PREFIX = 1_000_000_000, "system-"


def default(cls: Object) -> Object:
    return Object(cls.kind, cls.meta, absent(cls.body, value=0, preemptionPolicy=PREEMPTS), cls.api)


def assign(cls: Object, old: Object | None, reader: Reader) -> Object:
    """Raises Forbidden where another class is the default already."""
    if not cls.body.get("globalDefault") or (old is not None and old.body.get("globalDefault")):
        return cls
    for entry in reader.entries(KIND.type):
        if entry.key != cls.key and entry.object().body.get("globalDefault"):
            said = f"PriorityClass {entry.key.name} is already marked as default. Only one default can exist"
            raise Forbidden(said, kind=KIND.type, name=cls.meta.name)
    return cls


def validate(cls: Object) -> Problems:
    found: Problems = []
    name, value, policy = cls.meta.name, cls.body["value"], cls.body["preemptionPolicy"]
    if name.startswith(_PREFIX):
        found += [forbidden("metadata.name", fault) for fault in _system_faults(cls)]
    elif value > _MOST:
        found.append(forbidden("value", f"maximum allowed value of a user defined priority is {_MOST}"))
    if policy not in (PREEMPTS, WAITS):
        found.append(unsupported("preemptionPolicy", policy, (PREEMPTS, WAITS)))
    return found


def _system_faults(cls: Object) -> list[str]:
    name = cls.meta.name
    reserved = f"priority class names with '{_PREFIX}' prefix are reserved for system use only. error: "
    if name not in SYSTEM:
        return [f"{reserved}{name} is not a known system priority class"]
    if cls.body["value"] != SYSTEM[name]:
        return [f"{reserved}value of {name} PriorityClass must be {SYSTEM[name]}"]
    return [f"{reserved}globalDefault of {name} PriorityClass must be false"] if cls.body.get("globalDefault") else []


def validate_change(new: Object, old: Object, part: str) -> Problems:
    found: Problems = []
    if new.body["value"] != old.body["value"]:
        found.append(forbidden("value", "may not be changed in an update."))
    if new.body["preemptionPolicy"] != old.body["preemptionPolicy"]:
        found.append(invalid("preemptionPolicy", new.body["preemptionPolicy"], "field is immutable"))
    return found


KIND = Kind(
    name="PriorityClass",
    plural="priorityclasses",
    singular="priorityclass",
    short=("pc",),
    api=API,
    namespaced=False,
    schema=schema(API, "PriorityClass"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Value", lambda cls: cls.body.get("value", 0), "The priority of pods of this class."),
        printing.text("Global-Default", lambda cls: "true" if cls.body.get("globalDefault") else "false"),
        printing.AGE,
        printing.text("PreemptionPolicy", lambda cls: cls.body.get("preemptionPolicy") or printing.UNSET),
    ),
    loop="coracle.kube.scheduler.binding:Binding",
)
