"""Run each Job's pods until it is over, and count every one of them once.

Decide: tally, policies and plans, pure.  Act: Jobs.reconcile().

Source: Kubernetes documentation, "Jobs", "Automatic Cleanup for Finished Jobs"; their Events and status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from coracle.core.clock import from_rfc3339
from coracle.core.collection import Deletion
from coracle.core.errors import CloudError
from coracle.core.informer import Index
from coracle.core.loop import Again, itself
from coracle.core.object import Key, Object
from coracle.core.sameness import change_same
from coracle.core.store import Event
from coracle.kube.controllers.batches import for_each, slow_start
from coracle.kube.controllers.jobs import conditions, plans
from coracle.kube.controllers.jobs.plans import Outcome, Plan
from coracle.kube.controllers.jobs.starting import job_pod
from coracle.kube.controllers.jobs.tally import FINALIZER, Tally, is_tracked, tally
from coracle.kube.controllers.means import Means
from coracle.kube.controllers.ownership import OF_DEPENDENTS, OF_OWNERS, Terms, claimed, concerned, is_of, selector_of
from coracle.kube.kinds import job as jobs
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.jobrules import OURS, UNLIMITED

JOB, POD = jobs.KIND.type, pods.KIND.type


def _job_of(pod: Object) -> str:
    """The name of the Job that a pod is, or was, made by."""
    ref = pod.meta.controller
    if ref is not None:
        return ref.name if ref.kind == "Job" else ""
    return pod.meta.labels.get(jobs.NAME, "")


def _tracked(pod: Object) -> Iterable[str]:
    return (str(Key(pod.meta.namespace, _job_of(pod))),) if is_tracked(pod) and _job_of(pod) else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {JOB: OF_OWNERS, POD: {**OF_DEPENDENTS, "tracked": _tracked}}


def _held(pod: Object) -> Object:
    return pod.with_finalizer(FINALIZER)


def _free(pod: Object) -> Object:
    return pod.without_finalizer(FINALIZER)


class Jobs:
    name = "jobs"

    def __init__(self, means: Means) -> None:
        self._means, self._jobs, self._pods = means, means.caches[JOB], means.caches[POD]
        self._writer, self._pod_writer = means.writers[JOB], means.writers[POD]
        self._recorder, self._clock = means.recorder, means.clock
        self._concerned = concerned(self._jobs, selector_of)
        self.watches: Mapping[str, Callable[[Event], Iterable[Key]]] = {JOB: itself, POD: self._of_pod}

    async def reconcile(self, key: Key) -> Again | None:
        job = self._jobs.find(key)
        uid = job.meta.uid if job is not None else ""
        await self._let_go([pod for pod in self._pods.by("tracked", str(key)) if not is_of(pod, uid)])
        if job is None or (job.spec.get("managedBy") or OURS) != OURS:
            return None
        if jobs.finished(job):
            return await self._after(job)
        terms = Terms(selector_of(job), adopts=pods.active, adopted=_held, released=_free)
        owned = await claimed(job, self._pods, self._pod_writer, terms)
        if job.meta.deleting:
            await self._let_go([pod for pod in owned if is_tracked(pod)])
            return None
        return await self._run(job, owned)

    async def _run(self, job: Object, owned: Sequence[Object]) -> Again | None:
        now_s = self._clock.now_s()
        found = tally(job, owned)
        over = plans.outcome(job, found, now_s)
        if over is not None:
            found = tally(job, owned, "succeeded" if over.succeeded else "failed")
        todo = plans.manage(job, found, now_s) if over is None else Plan(remove=found.active)
        failure = await self._act(job, todo, held=over is not None)
        await self._tell(job, found, over, now_s)
        await self._let_go([pod for pod in owned if pod.meta.uid in found.settled])
        if failure is not None:
            raise failure
        left_s = plans.deadline_left_s(job, now_s) if over is None else None
        waits_s = [wait_s for wait_s in (todo.wait_s, left_s) if wait_s and wait_s > 0]
        return Again(min(waits_s)) if waits_s else None

    # -- pods --------------------------------------------------------------------------------------------------------

    async def _act(self, job: Object, todo: Plan, *, held: bool) -> CloudError | None:
        """`held`: the pods that are removed are let go when they are counted; else they are in no count."""
        wanted = [job_pod(job, start) for start in todo.make]
        failures = await slow_start(wanted, lambda pod: self._means.make_pod(job, pod))
        failures += await for_each(todo.remove, lambda pod: self._remove(job, pod, held=held))
        return failures[0] if failures else None

    async def _remove(self, job: Object, pod: Object, *, held: bool) -> None:
        if not held:
            await self._free(pod)
        await self._means.remove_pod(job, pod.key, pod.meta.uid)

    async def _let_go(self, counted: Sequence[Object]) -> None:
        failures = await for_each(counted, self._free)
        if failures:
            raise failures[0]

    async def _free(self, pod: Object) -> None:
        await change_same(self._pod_writer, pod, _free)

    # -- status ------------------------------------------------------------------------------------------------------

    async def _tell(self, job: Object, found: Tally, over: Outcome | None, now_s: float) -> None:
        """Raises NotFound, Conflict: without the status written no pod may be let go."""
        said = conditions.status(job, found, over, now_s)
        await self._writer.update(job.with_body(status=said), "status")
        after = job.with_body(status=said)
        if jobs.condition(after, "Suspended") and not jobs.condition(job, "Suspended"):
            self._recorder.emit(job, "Normal", "Suspended", "Job suspended")
        if jobs.condition(job, "Suspended") and not jobs.condition(after, "Suspended"):
            self._recorder.emit(job, "Normal", "Resumed", "Job resumed")
        if jobs.condition(after, "Complete"):
            if said.get("succeeded", 0) > job.spec.get("completions", UNLIMITED):
                many = "Too many succeeded pods running after completion count reached"
                self._recorder.emit(job, "Warning", "TooManySucceededPods", many)
            self._recorder.emit(job, "Normal", "Completed", "Job completed")
        elif jobs.condition(after, "Failed") and over is not None:
            self._recorder.emit(job, "Warning", over.reason, over.message)

    async def _after(self, job: Object) -> Again | None:
        """A Job that is over: its pods are all counted; it goes itself after a while, if it says so."""
        await self._let_go([pod for pod in self._pods.owned_by(job.meta.uid) if is_tracked(pod)])
        wait_s = job.spec.get("ttlSecondsAfterFinished")
        if wait_s is None or job.meta.deleting:
            return None
        said = jobs.finished(job)
        ended_s = from_rfc3339(said.get("lastTransitionTime") or job.status.get("completionTime") or job.meta.created)
        left_s = ended_s + wait_s - self._clock.now_s()
        if left_s > 0:
            return Again(left_s)
        how = Deletion(uid=job.meta.uid, propagation="Foreground")
        await self._writer.delete(job.key, how, missing_ok=True)
        return None

    # -- who is concerned --------------------------------------------------------------------------------------------

    def _of_pod(self, event: Event) -> Iterable[Key]:
        """The Jobs that own it or would like to; where there are none, the one that is gone and still holds it."""
        keys = self._concerned(event)
        entry = event.entry
        if keys or event.type == "DELETED" or FINALIZER.encode() not in entry.raw:
            return keys
        name = _job_of(entry.object())
        return (Key(entry.key.namespace, name),) if name else ()
