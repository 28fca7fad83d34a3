"""Counting a Job's pods so that each counts once, though counting it and letting it go are two writes.

    ended, held by the finalizer              in no count
    its uid in uncountedTerminatedPods        written down; now the finalizer may go
    the finalizer is gone                     its uid leaves the list, and the counter grows

An indexed Job writes down the indexes that succeeded instead.

Source: Kubernetes documentation, "Job: Job tracking with finalizers".
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

from coracle.core.object import Object
from coracle.kube.controllers.jobs import indexes
from coracle.kube.controllers.jobs.indexes import index_of
from coracle.kube.controllers.jobs.policies import judge
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.job import PREFIX
from coracle.kube.kinds.jobrules import INDEXED, WHEN_FAILED

FINALIZER = f"{PREFIX}job-tracking"
Ending = Literal["", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Tally:
    """What the status and the pods say together.

    succeeded, failed   in the status' counters
    listed_*            uids that are written down and not in the counters yet
    kept_back           how many failures wait, uncounted, for the next pod of their index
    settled             uids that need the finalizer no longer, once the status is written
    """

    succeeded: int = 0
    failed: int = 0
    listed_succeeded: tuple[str, ...] = ()
    listed_failed: tuple[str, ...] = ()
    kept_back: int = 0
    settled: frozenset[str] = frozenset()
    active: tuple[Object, ...] = ()
    terminating: tuple[Object, ...] = ()
    completed: frozenset[int] = frozenset()
    failed_indexes: frozenset[int] = frozenset()
    fatal: str = ""  # what a rule says that fails the whole Job
    pods: tuple[Object, ...] = field(default=(), repr=False)

    @property
    def all_succeeded(self) -> int:
        return self.succeeded + len(self.listed_succeeded)

    @property
    def all_failed(self) -> int:
        return self.failed + len(self.listed_failed) + self.kept_back


def is_indexed(job: Object) -> bool:
    return bool(job.spec.get("completionMode") == INDEXED)


def is_tracked(pod: Object) -> bool:
    return FINALIZER in pod.meta.finalizers


def is_failed(job: Object, pod: Object) -> bool:
    """Ended badly; or on its way out, unless only the end counts.  One that was never placed ends by going."""
    phase = pod.status.get("phase")
    if phase == "Failed":
        return True
    waits = job.spec.get("podReplacementPolicy") == WHEN_FAILED
    return bool(pod.meta.deleting) and (not pod.spec.get("nodeName") if waits else phase != "Succeeded")


def tally(job: Object, owned: Sequence[Object], ending: Ending = "") -> Tally:
    """`ending`: the Job is over, so every pod is let go; of a Job that has failed those that still run failed too."""
    status = job.status
    listed = status.get("uncountedTerminatedPods") or {}
    held = {pod.meta.uid: pod for pod in owned if is_tracked(pod)}
    before = {name: list(listed.get(name) or ()) for name in ("succeeded", "failed")}
    known = {uid for uids in before.values() for uid in uids}
    fresh = [pod for uid, pod in held.items() if uid not in known]
    won = [pod for pod in fresh if _has_succeeded(pod)]
    completed = _completed(job, won)
    failed_indexes = _failed_indexes(job, owned, completed)
    lost = [pod for pod in fresh if not _has_succeeded(pod) and (is_failed(job, pod) or ending == "failed")]
    judged = {pod.meta.uid: judge(job, pod) for pod in lost}
    kept_back = frozenset() if ending else _kept_back(job, owned, completed | failed_indexes)
    counted = [uid for uid, said in judged.items() if said.action != "Ignore" and _in_range(job, held[uid])]
    kept = {name: [uid for uid in uids if uid in held] for name, uids in before.items()}
    listed_won = [] if is_indexed(job) else [*kept["succeeded"], *(pod.meta.uid for pod in won)]
    listed_lost = [*kept["failed"], *(uid for uid in counted if uid not in kept_back)]
    settled = {*listed_won, *listed_lost, *(pod.meta.uid for pod in won), *judged} - kept_back
    gone = {name: len(before[name]) - len(kept[name]) for name in before}
    return Tally(
        succeeded=len(completed) if is_indexed(job) else status.get("succeeded", 0) + gone["succeeded"],
        failed=status.get("failed", 0) + gone["failed"],
        listed_succeeded=tuple(listed_won),
        listed_failed=tuple(listed_lost),
        kept_back=sum(1 for uid in counted if uid in kept_back),
        settled=frozenset(held if ending else settled),
        active=tuple(pod for pod in owned if pods.active(pod)),
        terminating=tuple(pod for pod in owned if pod.meta.deleting and not pods.ended(pod)),
        completed=frozenset(completed),
        failed_indexes=frozenset(failed_indexes),
        fatal=next((one.message for one in judged.values() if one.action == "FailJob"), ""),
        pods=tuple(owned),
    )


def _has_succeeded(pod: Object) -> bool:
    return bool(pod.status.get("phase") == "Succeeded")


def _in_range(job: Object, pod: Object) -> bool:
    """Whether the pod is for something that the Job wants done."""
    if not is_indexed(job):
        return True
    index = index_of(pod)
    return index is not None and index < (job.spec.get("completions") or 0)


def _kept_back(job: Object, owned: Sequence[Object], over: Set[int]) -> frozenset[str]:
    """The last failed pod of each index that is to be tried again: its successor is told how often it has failed."""
    if job.spec.get("backoffLimitPerIndex") is None:
        return frozenset()
    busy = {index_of(pod) for pod in owned if pods.active(pod)}
    last: dict[int, Object] = {}
    for pod in owned:
        index = index_of(pod)
        if index is None or index in busy or index in over or not _in_range(job, pod):
            continue
        if is_failed(job, pod) and (
            index not in last or indexes.tries_before(last[index]) <= indexes.tries_before(pod)
        ):
            last[index] = pod
    return frozenset(pod.meta.uid for pod in last.values())


def _completed(job: Object, won: Sequence[Object]) -> set[int]:
    if not is_indexed(job):
        return set()
    completions = job.spec.get("completions") or 0
    found = {index for pod in won if (index := index_of(pod)) is not None and index < completions}
    return found | indexes.read(job.status.get("completedIndexes"), completions)


def _failed_indexes(job: Object, owned: Sequence[Object], completed: set[int]) -> set[int]:
    """Indexes whose pods have failed too often, or once where a rule says so."""
    limit = job.spec.get("backoffLimitPerIndex")
    if limit is None:
        return set()
    found = indexes.read(job.status.get("failedIndexes"), job.spec.get("completions") or 0)
    for pod in owned:
        index = index_of(pod)
        if index is None or index in completed or not is_failed(job, pod):
            continue
        action = judge(job, pod).action
        if action == "FailIndex" or (action != "Ignore" and indexes.failures_before(pod) + 1 > limit):
            found.add(index)
    return found
