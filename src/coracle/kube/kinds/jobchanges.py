"""What of a Job may change once it is there.

Source: Kubernetes documentation, "Jobs: Suspending a Job", "Mutable Scheduling Directives", "Mutable Pod Resources for
suspended Jobs", "Elastic Indexed Jobs"; the messages of batch/v1's validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import invalid
from coracle.core.kind import Problems
from coracle.core.object import Json, Object
from coracle.kube.kinds import jobstatus
from coracle.kube.kinds.jobrules import INDEXED

_FIXED = (
    "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy",
)  # fmt: skip
_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def problems(new: Object, old: Object, part: str) -> Problems:
    if part == "status":
        return jobstatus.problems(new, old)
    names = [name for name in _FIXED if new.spec.get(name) != old.spec.get(name)]
    if _template_changed(new, old):
        names.append("template")
    fixed = [invalid(f"spec.{name}", new.spec.get(name), "field is immutable") for name in names]
    return _completions(new, old) + fixed


def _completions(new: Object, old: Object) -> Problems:
    """An indexed Job may grow and shrink with its parallelism."""
    completions = new.spec.get("completions")
    if completions == old.spec.get("completions"):
        return []
    if new.spec.get("completionMode") != INDEXED:
        return [invalid("spec.completions", completions, "field is immutable")]
    if completions is None or completions == new.spec.get("parallelism"):
        return []
    return [invalid("spec.completions", completions, "can only be modified in tandem with spec.parallelism")]


def _template_changed(new: Object, old: Object) -> bool:
    after, before = new.spec.get("template") or {}, old.spec.get("template") or {}
    if after == before:
        return False
    return not _rests(old) or _without_directives(after) != _without_directives(before)


def _rests(job: Object) -> bool:
    """Whether no pod of it runs and none will: where they run and what they need may change."""
    told = jobstatus.is_so(job, "Suspended")
    began = bool(job.status.get("startTime"))
    return bool(job.spec.get("suspend")) and not job.status.get("active") and (told or not began)


def _without_directives(template: Mapping[str, Any]) -> Json:
    spec = {name: value for name, value in (template.get("spec") or {}).items() if name not in _DIRECTIVES}
    affinity = {name: value for name, value in (spec.pop("affinity", None) or {}).items() if name != "nodeAffinity"}
    for kind in ("containers", "initContainers"):
        spec[kind] = [_without_resources(container) for container in spec.get(kind) or ()]
    meta = {k: v for k, v in (template.get("metadata") or {}).items() if k not in ("labels", "annotations")}
    return {**template, "metadata": meta, "spec": {**spec, "affinity": affinity}}


def _without_resources(container: Mapping[str, Any]) -> Json:
    return {name: value for name, value in container.items() if name != "resources"}
