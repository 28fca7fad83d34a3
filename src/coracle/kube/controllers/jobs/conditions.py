"""What a Job's status says: counts, moments and conditions.

Source: Kubernetes documentation, "Job: Job termination and cleanup"; batch/v1 API, JobStatus.
"""

from __future__ import annotations

from typing import Any

from coracle.core.clock import rfc3339
from coracle.core.object import Json, Object
from coracle.kube.controllers.jobs import indexes
from coracle.kube.controllers.jobs.plans import Outcome
from coracle.kube.controllers.jobs.tally import Tally, is_indexed
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import condition_in
from coracle.kube.kinds.job import condition


def status(job: Object, found: Tally, over: Outcome | None, now_s: float) -> Json:
    """Its end is told when no pod is left to wait for; before that, what it will be."""
    now, conditions = rfc3339(now_s), list(job.status.get("conditions") or ())
    moments: Json = {"startTime": job.status.get("startTime") or now}
    if over is None:
        conditions = _suspension(job, conditions, now)
        moments = _started(job, now)
    else:
        conditions = _with(conditions, "SuccessCriteriaMet" if over.succeeded else "FailureTarget", over, now)
        waits = found.active or found.terminating or found.listed_succeeded or found.listed_failed
        if not waits:
            conditions = _with(conditions, "Complete" if over.succeeded else "Failed", over, now)
            moments |= {"completionTime": now} if over.succeeded else {}
    return {**_numbers(job, found), **moments, **({"conditions": conditions} if conditions else {})}


def _started(job: Object, now: str) -> Json:
    """While it is suspended it has not begun; resumed, it begins anew."""
    if job.spec.get("suspend"):
        return {}
    resumed = bool(condition(job, "Suspended"))
    return {"startTime": now if resumed else job.status.get("startTime") or now}


def _numbers(job: Object, found: Tally) -> Json:
    listed = {"succeeded": list(found.listed_succeeded), "failed": list(found.listed_failed)}
    numbers: dict[str, Any] = {
        "active": len(found.active),
        "succeeded": found.succeeded,
        "failed": found.failed,
        "completedIndexes": indexes.write(found.completed),
    }
    by_index = is_indexed(job) and job.spec.get("backoffLimitPerIndex") is not None
    return {
        **{name: value for name, value in numbers.items() if value},
        **({"failedIndexes": indexes.write(found.failed_indexes)} if by_index else {}),
        "ready": sum(1 for pod in found.active if pods.ready(pod)),
        "terminating": len(found.terminating),
        "uncountedTerminatedPods": {name: uids for name, uids in listed.items() if uids},
    }


def _suspension(job: Object, conditions: list[Json], now: str) -> list[Json]:
    """Resuming is told only to those who were told of the suspension."""
    told = condition_in(conditions, "Suspended")
    if job.spec.get("suspend"):
        status, reason, message = "True", "JobSuspended", "Job suspended"
    elif told:
        status, reason, message = "False", "JobResumed", "Job resumed"
    else:
        return conditions
    if told.get("status") == status:
        return conditions
    said = _entry("Suspended", reason, message, now) | {"status": status}
    return [*(entry for entry in conditions if entry is not told), said]


def _with(conditions: list[Json], type: str, over: Outcome, now: str) -> list[Json]:
    if any(entry.get("type") == type and entry.get("status") == "True" for entry in conditions):
        return conditions
    return [*conditions, _entry(type, over.reason, over.message, now)]


def _entry(type: str, reason: str, message: str, now: str) -> Json:
    return {
        "type": type,
        "status": "True",
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
