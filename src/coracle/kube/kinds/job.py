"""Job: pods that run until so many of them have succeeded.

Source: Kubernetes batch/v1 API, JobSpec; printed columns as `kubectl get jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.errors import invalid, required
from coracle.core.kind import Column, Kind, Problems, Reader
from coracle.core.names import name_faults
from coracle.core.object import Json, Object
from coracle.core.selectors import from_label_selector
from coracle.kube.kinds import jobrules, printing, workloads
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.jobrules import INDEXED
from coracle.kube.kinds.rules import label_selector

PREFIX = "batch.kubernetes.io/"
UID, NAME = f"{PREFIX}controller-uid", f"{PREFIX}job-name"
_FIXED = (
    "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy",
)  # fmt: skip
# Where a pod runs may change while none has been started.
_PLACEMENT = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def default(job: Object) -> Object:
    spec = jobrules.default(job.body.get("spec"))
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    return job.with_meta(labels=job.meta.labels or labels).with_body(spec=spec)


def assign(job: Object, old: Object | None, _reader: Reader) -> Object:
    """A new Job's pods have its uid and name as labels, which it knows them by unless the user chose otherwise."""
    if old is not None:
        return job
    job = job.with_body(status={})
    template = job.spec.get("template")
    if job.spec.get("manualSelector") or template is None:
        return job
    meta = template.get("metadata") or {}
    own = {UID: job.meta.uid, NAME: job.meta.name, "controller-uid": job.meta.uid, "job-name": job.meta.name}
    selector = job.spec.get("selector") or {}
    chosen = {**selector, "matchLabels": {UID: job.meta.uid, **(selector.get("matchLabels") or {})}}
    labelled = {**template, "metadata": {**meta, "labels": {**own, **(meta.get("labels") or {})}}}
    return job.with_spec(selector=chosen, template=labelled)


def validate(job: Object) -> Problems:
    spec = job.spec
    problems = jobrules.problems(spec, "spec") + _selector(job)
    if spec.get("completionMode") == INDEXED and (spec.get("completions") or 0) > 0:
        pod = f"{job.meta.name}-{spec['completions'] - 1}"
        said = "will not able to create pod with invalid DNS label: "
        problems += [invalid("metadata.name", job.meta.name, f"{said}{pod}") for _ in name_faults("label", pod)[:1]]
    return problems


def _selector(job: Object) -> Problems:
    selector, labels = job.spec.get("selector"), workloads.template_labels(job)
    if selector is None:
        return [required("spec.selector")]
    problems = label_selector("spec.selector", selector)
    if problems:
        return problems
    chosen = from_label_selector(selector)
    own = {UID: job.meta.uid, NAME: job.meta.name, "controller-uid": job.meta.uid, "job-name": job.meta.name}
    if not job.spec.get("manualSelector") and not chosen.accepts(own):
        problems.append(invalid("spec.selector", selector, "`selector` not auto-generated"))
    if not chosen.accepts(labels):
        problems.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return problems


def validate_change(new: Object, old: Object, part: str) -> Problems:
    if part == "status":
        return []
    names = [name for name in _FIXED if new.spec.get(name) != old.spec.get(name)]
    if new.spec.get("completions") != old.spec.get("completions") and not _is_elastic(new, old):
        names.append("completions")
    if _template_changed(new, old):
        names.append("template")
    return [invalid(f"spec.{name}", new.spec.get(name), "field is immutable") for name in names]


def _is_elastic(new: Object, old: Object) -> bool:
    """An indexed Job may grow and shrink with its parallelism."""
    both = [obj.spec.get("completions") == obj.spec.get("parallelism") for obj in (new, old)]
    return new.spec.get("completionMode") == INDEXED and new.spec.get("completions") is not None and all(both)


def _template_changed(new: Object, old: Object) -> bool:
    after, before = new.spec.get("template") or {}, old.spec.get("template") or {}
    if after == before:
        return False
    unstarted = old.spec.get("suspend") and not old.status.get("startTime")
    return not unstarted or _without_placement(after) != _without_placement(before)


def _without_placement(template: Mapping[str, Any]) -> Json:
    spec = {name: value for name, value in (template.get("spec") or {}).items() if name not in _PLACEMENT}
    return {**template, "spec": spec, "metadata": {}}


# -- what a Job says -----------------------------------------------------------------------------------------------


def condition(job: Object, type: str) -> Mapping[str, Any]:
    """The Job's condition of that type where it is true, else empty."""
    found: Sequence[Mapping[str, Any]] = job.status.get("conditions") or ()
    return next((entry for entry in found if entry["type"] == type and entry["status"] == "True"), {})


def finished(job: Object) -> Mapping[str, Any]:
    """The condition that says how it ended, empty while it has not."""
    return condition(job, "Complete") or condition(job, "Failed")


def _state(job: Object) -> str:
    for type in ("Complete", "Failed"):
        if condition(job, type):
            return type
    if job.meta.deleting:
        return "Terminating"
    others = ("Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((type for type in others if condition(job, type)), "Running")


def _completions(job: Object) -> str:
    done, wanted, wide = job.status.get("succeeded", 0), job.spec.get("completions"), job.spec.get("parallelism") or 0
    if wanted is not None:
        return f"{done}/{wanted}"
    return f"{done}/1 of {wide}" if wide > 1 else f"{done}/1"


def _duration(job: Object, now_s: float) -> str:
    start, end = job.status.get("startTime"), job.status.get("completionTime")
    if not start:
        return ""
    return printing.human((from_rfc3339(end) if end else now_s) - from_rfc3339(start))


KIND = Kind(
    name="Job",
    plural="jobs",
    api="batch/v1",
    singular="job",
    categories=("all",),
    schema=schema("batch/v1", "Job"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    fields={"status.successful": lambda job: str(job.status.get("succeeded", 0))},
    columns=(
        printing.NAME,
        printing.text("Status", _state, "Status of the job."),
        printing.text("Completions", _completions, "How many pods have succeeded, of how many."),
        Column("Duration", _duration, description="Time required to complete the job."),
        printing.AGE,
        *workloads.template_columns(),
        workloads.SELECTOR,
    ),
    subresources=frozenset(("status",)),
    loop="coracle.kube.controllers.jobs.loop:Jobs",
)
