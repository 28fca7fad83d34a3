"""What else may change of a pod that waits for its scheduling gates: where it may go, and only by asking for more.

Source: Kubernetes documentation, "Pod Scheduling Readiness", "Mutable Pod scheduling directives".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, invalid
from coracle.core.object import Json
from coracle.kube.kinds.podspec.affinities import REQUIRED

_LISTS = ("matchExpressions", "matchFields")


def gated(spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("schedulingGates"))


def problems(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    """The rules broken by new directives in place of those of the gated spec `old`."""
    return _selector(new, old) + _affinity(new, old)


def as_before(new: Mapping[str, Any], old: Mapping[str, Any]) -> Json:
    """`new` with the directives of `old` put back."""
    kept = {name: value for name, value in new.items() if name not in ("nodeSelector", "affinity")}
    affinity = {name: value for name, value in (new.get("affinity") or {}).items() if name != "nodeAffinity"}
    affinity |= {name: value for name, value in (old.get("affinity") or {}).items() if name == "nodeAffinity"}
    if affinity or "affinity" in old:
        kept["affinity"] = affinity
    return kept | ({"nodeSelector": old["nodeSelector"]} if "nodeSelector" in old else {})


def _selector(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    after, before = new.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if all(after.get(label) == value for label, value in before.items()):
        return []
    said = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
    return [invalid("spec.nodeSelector", after, said)]


def _affinity(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    after, before = _terms(new), _terms(old)
    at = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
    if not before:
        return []
    if len(after) != len(before):
        return [invalid(at, list(after), "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    said = "only additions are allowed (no mutations or deletions)"
    pairs = enumerate(zip(after, before, strict=True))
    return [invalid(f"{at}[{index}]", term, said) for index, (term, had) in pairs if not _adds(term, had)]


def _terms(spec: Mapping[str, Any]) -> Sequence[Json]:
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return (node.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()


def _adds(term: Json, had: Json) -> bool:
    """Whether `term` asks for all that `had` asked for; one that asked for nothing, and so chose nothing, stays so."""
    if not any(had.get(name) for name in _LISTS):
        return not any(term.get(name) for name in _LISTS)
    return all((term.get(name) or [])[: len(had.get(name) or ())] == (had.get(name) or []) for name in _LISTS)
