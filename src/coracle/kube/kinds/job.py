"""Job: pods that run until so many of them have succeeded.

Source: Kubernetes batch/v1 API, JobSpec; printed columns as `kubectl get jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.errors import invalid, required
from coracle.core.kind import Column, Kind, Problems, Reader
from coracle.core.names import name_faults
from coracle.core.object import Object
from coracle.core.selectors import from_label_selector
from coracle.kube.kinds import jobchanges, jobrules, jobstatus, printing, workloads
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.jobrules import INDEXED
from coracle.kube.kinds.rules import label_selector

PREFIX = "batch.kubernetes.io/"
UID, NAME = f"{PREFIX}controller-uid", f"{PREFIX}job-name"


def default(job: Object) -> Object:
    spec = jobrules.default(job.body.get("spec"))
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    return job.with_meta(labels=job.meta.labels or labels).with_body(spec=spec)


def assign(job: Object, old: Object | None, _reader: Reader) -> Object:
    """A new Job's pods have its uid and name as labels, which it knows them by unless the user chose otherwise.

    It has its pods' labels itself where the user gave it none.
    """
    if old is not None:
        return job
    job = job.with_body(status={})
    template = job.spec.get("template")
    if job.spec.get("manualSelector") or template is None:
        return job
    meta = template.get("metadata") or {}
    given = meta.get("labels") or {}
    labels = {**_own_labels(job), **given}
    selector = job.spec.get("selector") or {}
    chosen = {**selector, "matchLabels": {UID: job.meta.uid, **(selector.get("matchLabels") or {})}}
    labelled = {**template, "metadata": {**meta, "labels": labels}}
    own = labels if job.meta.labels in ({}, given) else job.meta.labels
    return job.with_meta(labels=own).with_spec(selector=chosen, template=labelled)


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
    unfit = invalid("spec.template.metadata.labels", labels or None, "`selector` does not match template `labels`")
    if selector is None:
        return [required("spec.selector"), unfit]
    problems = label_selector("spec.selector", selector)
    if problems:
        return problems
    chosen = from_label_selector(selector)
    if not job.spec.get("manualSelector"):
        problems += _generated(job, labels)
        if not chosen.accepts(_own_labels(job)):
            problems.append(invalid("spec.selector", selector, "`selector` not auto-generated"))
    if not chosen.accepts(labels):
        problems.append(unfit)
    return problems


def _own_labels(job: Object) -> dict[str, str]:
    """What the Job's pods are told by, in the names of before and of now."""
    return {"controller-uid": job.meta.uid, "job-name": job.meta.name, UID: job.meta.uid, NAME: job.meta.name}


def _generated(job: Object, labels: Mapping[str, str]) -> Problems:
    found: Problems = []
    for name, value in _own_labels(job).items():
        at, said = f"spec.template.metadata.labels[{name}]", f"must be '{value}'"
        if name not in labels:
            found.append(required(at, said))
        elif labels[name] != value:
            found.append(invalid(at, labels, said))
    return found


# -- what a Job says -----------------------------------------------------------------------------------------------


def condition(job: Object, type: str) -> Mapping[str, Any]:
    """The Job's condition of that type where it is true, else empty."""
    true = (entry for entry in jobstatus.conditions(job) if entry.get("status") == "True")
    return next((entry for entry in true if entry.get("type") == type), {})


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
    validate_change=jobchanges.problems,
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
    orphans=True,
    loop="coracle.kube.controllers.jobs.loop:Jobs",
)
