"""PodDisruptionBudget: how many of a set of pods may be missing because somebody wants them away.

Source: Kubernetes policy/v1 API, PodDisruptionBudget; printed columns as `kubectl get poddisruptionbudgets`.
"""

from __future__ import annotations

from typing import Any

from coracle.core.errors import Problem, invalid
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.core.selectors import Selector, from_label_selector
from coracle.kube.kinds import counts, printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import label_selector, unsupported
from coracle.kube.kinds.workloads import at_most_all, portion

API = "policy/v1"
POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def default(budget: Object) -> Object:
    return budget.with_body(spec=absent(budget.body.get("spec")))


def assign(budget: Object, old: Object | None, _reader: object) -> Object:
    """A new budget allows nothing until somebody has counted."""
    if old is not None:
        return budget
    counted = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    return budget.with_body(status=counted)


def validate(budget: Object) -> Problems:
    spec = budget.spec
    found: list[Problem] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        found.append(invalid("spec", dict(spec), "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            found += portion(f"spec.{name}", spec[name]) + at_most_all(f"spec.{name}", spec[name])
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in POLICIES:
        found.append(unsupported("spec.unhealthyPodEvictionPolicy", policy, POLICIES))
    return found + label_selector("spec.selector", spec.get("selector"))


def selector(budget: Object) -> Selector | None:
    """Which pods it is for; None: none.  An empty selector is for all."""
    wanted = budget.spec.get("selector")
    return None if wanted is None else from_label_selector(wanted)


def covers(budget: Object, namespace: str, labels: Any) -> bool:
    chosen = selector(budget)
    return budget.meta.namespace == namespace and chosen is not None and chosen.accepts(labels)


def _given(name: str) -> Any:
    return lambda budget: "N/A" if budget.spec.get(name) is None else str(budget.spec[name])


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return counts.BUDGETS.problems(new, old) if part == "status" else []


KIND = Kind(
    name="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    singular="poddisruptionbudget",
    short=("pdb",),
    api=API,
    schema=schema(API, "PodDisruptionBudget"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Min Available", _given("minAvailable"), "The minimum number of pods that must be available."),
        printing.text("Max Unavailable", _given("maxUnavailable"), "The most pods that may be unavailable."),
        printing.number("Allowed Disruptions", lambda budget: budget.status.get("disruptionsAllowed") or 0),
        printing.AGE,
    ),
    subresources=frozenset(("status",)),
    loop="coracle.kube.controllers.disruption:Budgets",
)
