"""What may be written as a Job's status, by whichever controller manages it.

Rules about one field hold for those who change it: a status that broke them before may still be written.

Source: Kubernetes documentation, "Jobs: Delegation of managing a Job object to external controller"; the messages of
batch/v1's validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.errors import Problem, duplicate, invalid, required
from coracle.core.kind import Problems
from coracle.core.object import Object
from coracle.kube.kinds import jobindexes
from coracle.kube.kinds.jobrules import INDEXED
from coracle.kube.kinds.rules import not_negative

_AT = "status.conditions"
_FOR_EVER = ("Failed", "Complete", "FailureTarget")


def conditions(job: Object) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = job.status.get("conditions") or ()
    return found


def is_so(job: Object, type: str) -> bool:
    return any(entry.get("type") == type and entry.get("status") == "True" for entry in conditions(job))


def problems(new: Object, old: Object) -> Problems:
    found: Problems = []
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        found += not_negative(f"status.{name}", new.status.get(name))
    found += _uncounted(new) + _contradictions(new, old) + _moments(new, old) + _ends(new, old)
    ready = new.status.get("ready") or 0
    if _changed(new, old, "ready", "active") and ready > max(0, new.status.get("active") or 0):
        found.append(invalid("status.ready", ready, "cannot set more ready pods than active"))
    return found + _indexes(new, old) + _counters(new, old) + _turning_back(new, old)


def _changed(new: Object, old: Object, *names: str) -> bool:
    return any(new.status.get(name) != old.status.get(name) for name in names)


def _turned(new: Object, old: Object, *types: str) -> bool:
    return any(is_so(new, type) != is_so(old, type) for type in types)


def _finished(job: Object) -> bool:
    return is_so(job, "Complete") or is_so(job, "Failed")


def _wrong(said: str) -> Problem:
    return Problem(_AT, "invalid", f"Invalid value: {said}")


# -- counted pods --------------------------------------------------------------------------------------------------


def _uncounted(job: Object) -> Problems:
    found, seen = [], set()
    for name in ("succeeded", "failed"):
        for index, uid in enumerate((job.status.get("uncountedTerminatedPods") or {}).get(name) or ()):
            at = f"status.uncountedTerminatedPods.{name}[{index}]"
            if not uid:
                found.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                found.append(duplicate(at, uid))
            seen.add(uid)
    return found


def _counters(new: Object, old: Object) -> Problems:
    indexed = new.spec.get("completionMode") == INDEXED
    shrinks = indexed and new.spec.get("completions") == new.spec.get("parallelism")
    names = ("failed",) if shrinks else ("failed", "succeeded")
    return [
        invalid(f"status.{name}", new.status.get(name, 0), f"cannot decrease the {name} counter")
        for name in names
        if (new.status.get(name) or 0) < (old.status.get(name) or 0)
    ]


# -- conditions ----------------------------------------------------------------------------------------------------


def _contradictions(new: Object, old: Object) -> Problems:
    found: Problems = []
    complete, met = is_so(new, "Complete"), is_so(new, "SuccessCriteriaMet")
    if _turned(new, old, "Complete", "Failed") and complete and is_so(new, "Failed"):
        found.append(_wrong("cannot set Complete=True and Failed=true conditions"))
    if _turned(new, old, "Complete", "FailureTarget") and complete and is_so(new, "FailureTarget"):
        found.append(_wrong("cannot set Complete=True and FailureTarget=true conditions"))
    if _turned(new, old, "Failed") and is_so(new, "Failed") and not is_so(new, "FailureTarget"):
        found.append(_wrong("cannot set Failed=True condition without the FailureTarget=true condition"))
    if _turned(new, old, "Complete") and complete and not met:
        found.append(_wrong("cannot set Complete=True condition without the SuccessCriteriaMet=true condition"))
    if met and is_so(new, "Failed"):
        found.append(_wrong("cannot set SuccessCriteriaMet=True and Failed=true conditions"))
    if met and is_so(new, "FailureTarget"):
        found.append(_wrong("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"))
    return found


def _turning_back(new: Object, old: Object) -> Problems:
    found = [
        _wrong(f"cannot disable the terminal {type}=True condition")
        for type in _FOR_EVER
        if is_so(old, type) and not is_so(new, type)
    ]
    if is_so(old, "SuccessCriteriaMet") and not is_so(new, "SuccessCriteriaMet"):
        found.append(_wrong("cannot disable the SuccessCriteriaMet=True condition"))
    return found


# -- moments -------------------------------------------------------------------------------------------------------


def _moments(new: Object, old: Object) -> Problems:
    found: Problems = []
    start, end = new.status.get("startTime"), new.status.get("completionTime")
    if _changed(new, old, "completionTime") or _turned(new, old, "Complete"):
        if end and not is_so(new, "Complete"):
            said = "cannot set completionTime when there is no Complete=True condition"
            found.append(invalid("status.completionTime", end, said))
        if not end and is_so(new, "Complete"):
            found.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    if start and end and _changed(new, old, "startTime", "completionTime") and from_rfc3339(end) < from_rfc3339(start):
        found.append(invalid("status.completionTime", end, "completionTime cannot be set before startTime"))
    if end and old.status.get("completionTime") not in (None, end):
        found.append(invalid("status.completionTime", end, "completionTime cannot be mutated"))
    rested = new.spec.get("suspend") or is_so(old, "Suspended")
    if old.status.get("startTime") not in (None, start) and not rested:
        found.append(required("status.startTime", "startTime cannot be removed for unsuspended job"))
    return found


def _ends(new: Object, old: Object) -> Problems:
    """A Job that is over has begun, has no pods, and has counted them all."""
    if not _finished(new):
        return []
    found: Problems = []
    just = _finished(new) != _finished(old)
    for name, said in (
        ("active", "active>0 is invalid for finished job"),
        ("terminating", "terminating>0 is invalid for finished job"),
    ):
        if (just or _changed(new, old, name)) and new.status.get(name):
            found.append(invalid(f"status.{name}", new.status[name], said))
    if (just or _changed(new, old, "startTime")) and not new.status.get("startTime"):
        found.append(required("status.startTime", "startTime is required for finished job"))
    listed = new.status.get("uncountedTerminatedPods") or {}
    if (just or _changed(new, old, "uncountedTerminatedPods")) and any(listed.values()):
        said = "uncountedTerminatedPods needs to be empty for finished job"
        found.append(invalid("status.uncountedTerminatedPods", listed, said))
    return found


# -- indexes -------------------------------------------------------------------------------------------------------


def _indexes(new: Object, old: Object) -> Problems:
    found: Problems = []
    done, lost = new.status.get("completedIndexes") or "", new.status.get("failedIndexes")
    if _changed(new, old, "completedIndexes"):
        found += _format(new, "completedIndexes", done)
        if done and new.spec.get("completionMode") != INDEXED:
            said = "cannot set non-empty completedIndexes when non-indexed completion mode"
            found.append(invalid("status.completedIndexes", done, said))
    if _changed(new, old, "failedIndexes") and lost is not None:
        found += _format(new, "failedIndexes", lost)
        if new.spec.get("backoffLimitPerIndex") is None:
            said = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            found.append(invalid("status.failedIndexes", lost, said))
    if _changed(new, old, "completedIndexes", "failedIndexes") and not found and done and lost:
        both = jobindexes.overlap(_spans(new, done), _spans(new, lost))
        if both is not None:
            said = f"failedIndexes and completedIndexes overlap at index: {both}"
            found.append(invalid("status.failedIndexes", lost, said))
    return found


def _spans(job: Object, text: str) -> list[range]:
    return jobindexes.spans(text, job.spec.get("completions") or 0)


def _format(job: Object, name: str, text: str) -> Problems:
    if job.spec.get("completions") is None:
        return []
    try:
        _spans(job, text)
    except ValueError as error:
        return [invalid(f"status.{name}", text, f"error parsing {name}: {error}")]
    return []
