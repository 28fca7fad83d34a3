"""What is to happen to a Job next: pods to start and to remove, when to look again, and whether it is over.

Source: Kubernetes documentation, "Jobs": parallel execution, handling of failures, suspension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.controllers.jobs.indexes import failures_before, ignored_before, index_of, tries_before
from coracle.kube.controllers.jobs.policies import judge, success
from coracle.kube.controllers.jobs.tally import Tally, is_failed, is_indexed
from coracle.kube.controllers.ranking import youngest_first
from coracle.kube.kinds.job import condition
from coracle.kube.kinds.jobrules import WHEN_FAILED

BURST = 500
FIRST_DELAY_S, LONGEST_DELAY_S = 10.0, 600.0


class Outcome(NamedTuple):
    """That the Job is over, though its pods may still be on their way out."""

    succeeded: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Start:
    """A pod to start: its index, where the Job has such, and how many of that index have failed before it.

    `ignored` failures count for the delay only.
    """

    index: int | None = None
    failures: int = 0
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """`wait_s`: when to look again; 0 where something will wake us."""

    make: tuple[Start, ...] = ()
    remove: tuple[Object, ...] = ()
    wait_s: float = 0


# -- is it over? ---------------------------------------------------------------------------------------------------


def outcome(job: Object, found: Tally, now_s: float) -> Outcome | None:
    told = _told(job)
    if told is not None:
        return told
    return _failure(job, found, now_s) or _success(job, found)


def _told(job: Object) -> Outcome | None:
    """What has been decided before."""
    for type, succeeded in (("FailureTarget", False), ("SuccessCriteriaMet", True)):
        said = condition(job, type)
        if said:
            return Outcome(succeeded, said.get("reason", ""), said.get("message", ""))
    return None


def _failure(job: Object, found: Tally, now_s: float) -> Outcome | None:
    if found.fatal:
        return Outcome(False, "PodFailurePolicy", found.fatal)
    limit = job.spec["backoffLimit"]
    if found.all_failed > limit or _restarted_too_often(job, found, limit):
        return Outcome(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left_s = deadline_left_s(job, now_s)
    if left_s is not None and left_s <= 0:
        return Outcome(False, "DeadlineExceeded", "Job was active longer than specified deadline")
    return _too_many_indexes(job, found)


def _restarted_too_often(job: Object, found: Tally, limit: int) -> bool:
    """Where containers are restarted in their pods, each restart is a failure."""
    if job.spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(_restarts(pod) for pod in found.active)
    return restarts > 0 if limit == 0 else restarts >= limit


def _restarts(pod: Object) -> int:
    both = [*(pod.status.get("containerStatuses") or ()), *(pod.status.get("initContainerStatuses") or ())]
    return sum(status.get("restartCount", 0) for status in both)


def deadline_left_s(job: Object, now_s: float) -> float | None:
    """How long the Job may still run; None where nothing limits it, or it does not run."""
    limit_s, start = job.spec.get("activeDeadlineSeconds"), job.status.get("startTime")
    if limit_s is None or job.spec.get("suspend"):
        return None
    return (from_rfc3339(start) if start else now_s) + float(limit_s) - now_s


def _too_many_indexes(job: Object, found: Tally) -> Outcome | None:
    most, lost = job.spec.get("maxFailedIndexes"), len(found.failed_indexes)
    if most is not None and lost > most:
        said = "Job has exceeded the specified maximal number of failed indexes"
        return Outcome(False, "MaxFailedIndexesExceeded", said)
    if lost and lost + len(found.completed) >= job.spec["completions"]:
        return Outcome(False, "FailedIndexes", "Job has failed indexes")
    return None


def _success(job: Object, found: Tally) -> Outcome | None:
    said = success(job, found.completed)
    if said:
        return Outcome(True, "SuccessPolicy", said)
    wanted = job.spec.get("completions")
    if wanted is None:
        done = found.all_succeeded > 0 and not found.active and not job.spec.get("suspend")
    else:
        done = found.all_succeeded >= wanted
    return Outcome(True, "CompletionsReached", "Reached expected number of succeeded pods") if done else None


# -- what to start and to remove -----------------------------------------------------------------------------------


def manage(job: Object, found: Tally, now_s: float) -> Plan:
    """For a Job that is not over."""
    if job.spec.get("suspend"):
        return Plan(remove=found.active)
    wanted = _wanted(job, found)
    surplus = len(found.active) - wanted
    if surplus > 0 or (is_indexed(job) and _useless(job, found)):
        return Plan(remove=_surplus(job, found, max(0, surplus)))
    going = len(found.terminating) if job.spec.get("podReplacementPolicy") == WHEN_FAILED else 0
    missing = min(wanted - len(found.active) - going, BURST)
    if missing <= 0:
        return Plan()
    if job.spec.get("backoffLimitPerIndex") is not None:
        return _start_indexes(job, found, missing, now_s)
    wait_s = backoff_s(job, found.pods, now_s)
    if wait_s > 0:
        return Plan(wait_s=wait_s)
    if is_indexed(job):
        return Plan(make=tuple(Start(index) for index in islice(_pending(job, found), missing)))
    return Plan(make=(Start(),) * missing)


def _wanted(job: Object, found: Tally) -> int:
    """How many pods are to be active."""
    wide, completions = int(job.spec["parallelism"]), job.spec.get("completions")
    if completions is None:
        return min(wide, len(found.active)) if found.all_succeeded else wide
    return max(0, min(int(completions) - found.all_succeeded - len(found.failed_indexes), wide))


def _useless(job: Object, found: Tally) -> list[Object]:
    """Active pods of indexes that are out of range, that another pod works on, or that are done."""
    seen: set[int] = set(found.completed) | set(found.failed_indexes)
    useless = []
    for pod in reversed(youngest_first(found.active)):
        index = index_of(pod)
        if index is None or index >= job.spec["completions"] or index in seen:
            useless.append(pod)
        else:
            seen.add(index)
    return useless


def _surplus(job: Object, found: Tally, count: int) -> tuple[Object, ...]:
    first = _useless(job, found) if is_indexed(job) else []
    chosen = {pod.meta.uid for pod in first}
    rest = youngest_first(pod for pod in found.active if pod.meta.uid not in chosen)
    return tuple([*first, *rest[: max(0, count - len(first))]][:BURST])


def _pending(job: Object, found: Tally) -> Iterator[int]:
    """The indexes that nothing works on, the lowest first."""
    busy = {index_of(pod) for pod in found.active}
    if job.spec.get("podReplacementPolicy") == WHEN_FAILED:
        busy |= {index_of(pod) for pod in found.terminating}
    done = found.completed | found.failed_indexes
    return (index for index in range(job.spec["completions"]) if index not in done and index not in busy)


# -- waiting after failures ----------------------------------------------------------------------------------------


def backoff_s(job: Object, owned: Iterable[Object], now_s: float) -> float:
    """How long to wait still: 10 s after a failure, twice as long after each that follows, up to ten minutes."""
    ended = sorted((_ended_s(pod, now_s), is_failed(job, pod)) for pod in owned if _is_over(job, pod))
    failures, last_s = 0, 0.0
    for moment_s, failed in ended:
        failures, last_s = (failures + 1, moment_s) if failed else (0, moment_s)
    return max(0.0, last_s + _delay_s(failures) - now_s) if failures else 0.0


def _is_over(job: Object, pod: Object) -> bool:
    """A pod that somebody removed is replaced at once."""
    return not pod.meta.deleting and (pod.status.get("phase") == "Succeeded" or is_failed(job, pod))


def _delay_s(failures: int) -> float:
    return float(min(FIRST_DELAY_S * 2 ** min(failures - 1, 30), LONGEST_DELAY_S))


def _ended_s(pod: Object, now_s: float) -> float:
    """When its last container ended; where none has run, when it was asked to go or made."""
    states = [
        (status.get("state") or {}).get("terminated") or {} for status in pod.status.get("containerStatuses") or ()
    ]
    moments = [from_rfc3339(state["finishedAt"]) for state in states if state.get("finishedAt")]
    if moments:
        return max(moments)
    text = pod.meta.deleting or pod.meta.created
    return min(now_s, from_rfc3339(text)) if text else now_s


def _start_indexes(job: Object, found: Tally, missing: int, now_s: float) -> Plan:
    """Each index waits for its own failures only."""
    failed: dict[int | None, list[Object]] = {}
    for pod in found.pods:
        if is_failed(job, pod):
            failed.setdefault(index_of(pod), []).append(pod)
    starts: list[Start] = []
    waits_s = []
    for index in _pending(job, found):
        start, last_s = _next_try(job, index, failed.get(index, ()), now_s)
        tries = start.failures + start.ignored
        wait_s = last_s + _delay_s(tries) - now_s if tries else 0.0
        if wait_s > 0:
            waits_s.append(wait_s)
        elif len(starts) < missing:
            starts.append(start)
        else:
            break
    return Plan(make=tuple(starts), wait_s=min(waits_s, default=0.0))


def _next_try(job: Object, index: int, failed: Sequence[Object], now_s: float) -> tuple[Start, float]:
    """The next pod of an index, by what became of the last one, and when that ended."""
    if not failed:
        return Start(index), 0.0
    last = max(failed, key=lambda pod: (tries_before(pod), _ended_s(pod, now_s)))
    counts = judge(job, last).action != "Ignore"
    start = Start(index, failures_before(last) + counts, ignored_before(last) + (not counts))
    return start, max(_ended_s(pod, now_s) for pod in failed)
