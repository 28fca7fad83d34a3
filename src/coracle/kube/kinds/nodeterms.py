"""Selecting nodes by their labels and names.

Source: Kubernetes v1 API, NodeSelector, NodeSelectorTerm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from coracle.core.object import Json


class Place(NamedTuple):
    """What is asked of a node."""

    name: str
    labels: Mapping[str, str]


def any_fits(terms: Iterable[Json], node: Place) -> bool:
    return any(fits(term, node) for term in terms)


def fits(term: Json, node: Place) -> bool:
    """A node selector term: all of its expressions; an empty one fits nothing."""
    by_label, by_field = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not by_label and not by_field:
        return False
    fields = {"metadata.name": node.name}
    return all(_holds(need, node.labels) for need in by_label) and all(_holds(need, fields) for need in by_field)


def _holds(need: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(need["key"]), need.get("values") or ()
    match need["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(operator, value, values)
    return False


def _compares(operator: str, value: str | None, values: Sequence[str]) -> bool:
    try:
        number, limit = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return number > limit if operator == "Gt" else number < limit
