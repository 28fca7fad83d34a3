"""The numbers in the status of whatever makes pods: none is negative, none is more than what it is a part of.

Source: Kubernetes apps/v1 and v1 APIs; the messages of their status validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import invalid
from coracle.core.kind import Problems
from coracle.core.object import Object
from coracle.kube.kinds.rules import not_negative

_COLLISIONS = "collisionCount"


@dataclass(frozen=True, slots=True)
class Counts:
    """`names`: of the numbers; `parts`: (part, whole, how the whole is called)."""

    names: tuple[str, ...]
    parts: tuple[tuple[str, str, str], ...] = ()

    def problems(self, new: Object, old: Object) -> Problems:
        status = new.status
        found: Problems = []
        for name in (*self.names, _COLLISIONS):
            found += not_negative(f"status.{name}", status.get(name))
        for part, whole, called in self.parts:
            count = status.get(part) or 0
            if count > (status.get(whole) or 0):
                found.append(invalid(f"status.{part}", count, f"cannot be greater than {called}"))
        return found + _collisions(status, old.status)


def _collisions(new: Mapping[str, Any], old: Mapping[str, Any]) -> Problems:
    """How often a name was taken is never forgotten."""
    before, after = old.get(_COLLISIONS) or 0, new.get(_COLLISIONS) or 0
    return [invalid(f"status.{_COLLISIONS}", after, "cannot be decremented")] if after < before else []


def _of(names: Iterable[str], whole: str = "replicas") -> tuple[tuple[str, str, str], ...]:
    return tuple((name, whole, f"status.{whole}") for name in names)


_SETS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
_AVAILABLE = ("availableReplicas", "readyReplicas", "readyReplicas")
SETS = Counts(
    (*_SETS, "terminatingReplicas"),
    (*_of(("fullyLabeledReplicas", "readyReplicas", "availableReplicas")), _AVAILABLE),
)
DEPLOYMENTS = Counts(
    (
        "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
        "unavailableReplicas", "terminatingReplicas",
    ),
    (*_of(("updatedReplicas", "readyReplicas", "availableReplicas")), _AVAILABLE),
)  # fmt: skip
STATEFUL = Counts(
    ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration"),
    (
        *_of(("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")),
        *_of(("availableReplicas",), "readyReplicas"),
    ),
)
DAEMONS = Counts(
    (
        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
        "updatedNumberScheduled", "numberAvailable", "numberUnavailable",
    )
)  # fmt: skip
BUDGETS = Counts(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"))
