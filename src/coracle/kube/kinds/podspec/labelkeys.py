"""matchLabelKeys and mismatchLabelKeys: selectors of other pods that go by what a pod's own labels say.

A new pod's selectors are completed from its labels, once; what makes pods keeps the keys as they are.

Source: Kubernetes v1 API, PodAffinityTerm, TopologySpreadConstraint; the API server's pod strategy and validation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid
from coracle.core.names import qualified_faults
from coracle.core.object import Json
from coracle.kube.kinds.podspec.affinities import PREFERRED, REQUIRED

_OPERATORS = (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
_TWICE = "exists in both matchLabelKeys and labelSelector"


def merged(spec: Mapping[str, Any], labels: Mapping[str, str]) -> Json:
    """The spec of a new pod with these labels, its selectors complete."""
    affinity, found = dict(spec.get("affinity") or {}), dict(spec)
    for name in ("podAffinity", "podAntiAffinity"):
        if affinity.get(name):
            affinity[name] = _of_affinity(affinity[name], labels)
    if affinity:
        found["affinity"] = affinity
    if found.get("topologySpreadConstraints"):
        found["topologySpreadConstraints"] = [_of_term(one, labels) for one in found["topologySpreadConstraints"]]
    return found


def _of_affinity(given: Json, labels: Mapping[str, str]) -> Json:
    found = dict(given)
    if given.get(REQUIRED):
        found[REQUIRED] = [_of_term(term, labels) for term in given[REQUIRED]]
    if given.get(PREFERRED):
        found[PREFERRED] = [
            {**one, "podAffinityTerm": _of_term(one.get("podAffinityTerm") or {}, labels)} for one in given[PREFERRED]
        ]
    return found


def _of_term(term: Json, labels: Mapping[str, str]) -> Json:
    selector = term.get("labelSelector")
    more = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for name, operator in _OPERATORS
        for key in term.get(name) or ()
        if key in labels
    ]
    if selector is None or not more:
        return term
    return {
        **term,
        "labelSelector": {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *more]},
    }


def term_problems(at: str, term: Json) -> list[Problem]:
    """Of a PodAffinityTerm; a key is once in a selector that has been completed."""
    found = _names(f"{at}.matchLabelKeys", term, "matchLabelKeys")
    found += _names(f"{at}.mismatchLabelKeys", term, "mismatchLabelKeys")
    counted, keys = _counted(term), term.get("matchLabelKeys") or ()
    found += [invalid(f"{at}[{index}]", key, _TWICE) for index, key in enumerate(keys) if counted[key] > 1]
    both = set(term.get("mismatchLabelKeys") or ())
    said = "exists in both matchLabelKeys and mismatchLabelKeys"
    return found + [
        invalid(f"{at}.matchLabelKeys[{index}]", key, said) for index, key in enumerate(keys) if key in both
    ]


def spread_problems(at: str, constraint: Json) -> list[Problem]:
    """Of a TopologySpreadConstraint."""
    at, counted = f"{at}.matchLabelKeys", _counted(constraint)
    named = (constraint.get("labelSelector") or {}).get("matchLabels") or {}
    keys: Sequence[str] = constraint.get("matchLabelKeys") or ()
    twice = [index for index, key in enumerate(keys) if counted[key] > 1 or key in named]
    found = _names(at, constraint, "matchLabelKeys")
    return found + [invalid(f"{at}[{index}]", keys[index], _TWICE) for index in twice]


def _names(at: str, term: Json, name: str) -> list[Problem]:
    keys = term.get(name) or ()
    if keys and term.get("labelSelector") is None:
        return [forbidden(at, "must not be specified when labelSelector is not set")]
    return [invalid(f"{at}[{index}]", key, fault) for index, key in enumerate(keys) for fault in qualified_faults(key)]


def _counted(term: Json) -> Counter[str]:
    selector = term.get("labelSelector") or {}
    return Counter(
        [*(selector.get("matchLabels") or ()), *(e.get("key") for e in selector.get("matchExpressions") or ())]
    )
