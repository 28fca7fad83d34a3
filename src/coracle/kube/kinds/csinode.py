"""CSINode: the storage drivers that are there on a node.

Source: Kubernetes storage.k8s.io/v1 API, CSINodeSpec; printed columns as `kubectl get csinodes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from coracle.core.errors import Problem, duplicate, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.csirules import driver_name
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import not_negative

API = "storage.k8s.io/v1"
_LONGEST_ID = 256


def _drivers(node: Object) -> Sequence[Json]:
    return node.spec.get("drivers") or ()


def validate(node: Object) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, driver in enumerate(_drivers(node)):
        at, name = f"spec.drivers[{index}]", driver.get("name") or ""
        found += _driver(at, driver)
        if name in seen:
            found.append(duplicate(f"{at}.name", name))
        seen.add(name)
    return found


def _driver(at: str, driver: Json) -> list[Problem]:
    name, node_id = driver.get("name") or "", driver.get("nodeID") or ""
    found = driver_name(f"{at}.name", name) + ([] if node_id else [required(f"{at}.nodeID")])
    if len(node_id) > _LONGEST_ID:
        found.append(invalid(f"{at}.nodeID", node_id, f"must be {_LONGEST_ID} characters or less"))
    found += not_negative(f"{at}.allocatable.count", (driver.get("allocatable") or {}).get("count"))
    keys = driver.get("topologyKeys") or ()
    for number, key in enumerate(keys):
        found += [duplicate(at, key)] if key in keys[:number] else []
        found += [invalid(at, key, fault) for fault in qualified_faults(key)] if key else [required(at)]
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    """What a driver said of itself stays, but for how many volumes it can take."""
    before = {driver.get("name"): _fixed(driver) for driver in _drivers(old)}
    return [
        invalid("spec.drivers", driver, "field is immutable")
        for driver in _drivers(new)
        if before.get(driver.get("name"), _fixed(driver)) != _fixed(driver)
    ]


def _fixed(driver: Json) -> Json:
    return {name: value for name, value in driver.items() if name != "allocatable" and value is not None}


KIND = Kind(
    name="CSINode",
    plural="csinodes",
    singular="csinode",
    api=API,
    namespaced=False,
    schema=schema(API, "CSINode"),
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.number("Drivers", lambda node: len(_drivers(node)), "How many drivers are there."),
        printing.AGE,
    ),
    counts_generations=False,
)
