"""Make a Job at each moment that a CronJob's schedule means, and remove old ones.

Decide: starts, new_job(), outdated(), pure.  Act: CronJobs.reconcile(), which sleeps until the next moment.

Source: Kubernetes documentation, "CronJob"; its Events and status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from coracle.core.clock import rfc3339
from coracle.core.collection import Deletion
from coracle.core.errors import AlreadyExists, CloudError, NotFound
from coracle.core.informer import Index
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.controllers.batches import for_each
from coracle.kube.controllers.means import Means
from coracle.kube.controllers.ownership import OF_OWNERS, is_of
from coracle.kube.controllers.starts import Due, due
from coracle.kube.kinds import cronjob as crons
from coracle.kube.kinds import job as jobs
from coracle.kube.kinds.words import is_of_ending_namespace, said

CRON, JOB = crons.KIND.type, jobs.KIND.type
INDEXES: Mapping[str, Mapping[str, Index]] = {CRON: OF_OWNERS}
SCHEDULED = f"{jobs.PREFIX}cronjob-scheduled-timestamp"
_TOO_MANY = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"

_NEVER = "time difference between two schedules is less than 1 second"  # the 31st of February: there are no two


# -- Jobs ------------------------------------------------------------------------------------------------------------


def new_job(cron: Object, at_s: float) -> Object:
    """The Job for that moment, whose name no other moment's has."""
    template = cron.spec["jobTemplate"]
    meta, zone = template.get("metadata") or {}, cron.spec.get("timeZone")
    moment = datetime.fromtimestamp(at_s, ZoneInfo(zone) if zone else UTC).isoformat().replace("+00:00", "Z")
    made = Meta(
        name=f"{cron.meta.name}-{int(at_s) // 60}",
        namespace=cron.meta.namespace,
        labels=meta.get("labels") or {},
        annotations={**(meta.get("annotations") or {}), SCHEDULED: moment},
        owners=(cron.as_owner(),),
    )
    return Object(jobs.KIND.name, made, {"spec": template["spec"]}, jobs.KIND.api)


def outdated(cron: Object, owned: Sequence[Object]) -> list[Object]:
    """The oldest of the Jobs that are over, beyond those that are kept."""
    found = []
    for type, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        over = [job for job in owned if jobs.condition(job, type) and not job.meta.deleting]
        over.sort(key=lambda job: (job.status.get("startTime") or job.meta.created, job.meta.name))
        found += over[: max(0, len(over) - cron.spec[limit])]
    return found


def reference(job: Object) -> Json:
    return {
        "apiVersion": job.api,
        "kind": job.kind,
        "namespace": job.meta.namespace,
        "name": job.meta.name,
        "uid": job.meta.uid,
        "resourceVersion": str(job.meta.revision),
    }


def _succeeded_at(owned: Iterable[Object]) -> list[str]:
    return [job.status["completionTime"] for job in owned if job.status.get("completionTime")]


class CronJobs:
    name = "cronjobs"

    def __init__(self, means: Means) -> None:
        self._means, self._crons, self._jobs = means, means.caches[CRON], means.caches[JOB]
        self._job_writer = means.writers[JOB]
        self._recorder, self._clock = means.recorder, means.clock
        self.watches: Mapping[str, Callable[[Event], Iterable[Key]]] = {CRON: itself, JOB: self._of_job}

    async def reconcile(self, key: Key) -> Again | None:
        cron = self._crons.find(key)
        if cron is None or cron.meta.deleting:
            return None  # its Jobs go with it, by their owner
        owned = [job for job in self._jobs.owned_by(cron.meta.uid) if is_of(job, cron.meta.uid)]
        self._notice(cron, owned)
        await for_each(outdated(cron, owned), lambda job: self._remove(cron, job))
        active = [job for job in owned if _is_active(cron, job) and not jobs.finished(job)]
        if cron.spec.get("suspend") or not self._knows_zone(cron):
            await self._tell(cron, owned, active, None)
            return None
        found = due(cron, self._clock.now_s())
        started_s = await self._start(cron, active, found) if found.missed_s is not None else None
        await self._tell(cron, owned, active, started_s)
        if found.next_s is None:
            self._recorder.emit(
                cron, "Warning", "InvalidSchedule", f"invalid schedule: {cron.spec['schedule']} : {_NEVER}"
            )
            return None
        return Again(found.next_s - self._clock.now_s())

    def _knows_zone(self, cron: Object) -> bool:
        """A cloud that moved may find itself where a time zone is unknown."""
        zone = cron.spec.get("timeZone")
        try:
            return zone is None or bool(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            fault = f'invalid timeZone: "{zone}": unknown time zone {zone}'
            self._recorder.emit(cron, "Warning", "UnknownTimeZone", fault)
            return False

    # -- starting ----------------------------------------------------------------------------------------------------

    async def _start(self, cron: Object, active: list[Object], found: Due) -> float | None:
        """Returns the moment for which a Job was made, and adds it to `active`."""
        if found.too_many:
            self._recorder.emit(cron, "Warning", "TooManyMissedTimes", _TOO_MANY)
        if active and cron.spec["concurrencyPolicy"] == crons.FORBID:
            why = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._recorder.emit(cron, "Normal", "JobAlreadyActive", why)
            return None
        if cron.spec["concurrencyPolicy"] == crons.REPLACE:
            await for_each(active, lambda job: self._remove(cron, job))
            active.clear()
        wanted = new_job(cron, found.missed_s or 0.0)
        try:
            made = await self._job_writer.create(wanted)
        except AlreadyExists:
            present = self._jobs.find(wanted.key)
            if present is not None and is_of(present, cron.meta.uid) and not jobs.finished(present):
                active.append(present)  # made before, and not written down
            return found.missed_s
        except CloudError as error:
            if is_of_ending_namespace(error):
                return None
            self._recorder.emit(cron, "Warning", "FailedCreate", f"Error creating job: {said(error)}")
            raise
        self._recorder.emit(cron, "Normal", "SuccessfulCreate", f"Created job {made.meta.name}")
        active.append(made)
        return found.missed_s

    async def _remove(self, cron: Object, job: Object) -> None:
        try:
            await self._job_writer.delete(job.key, Deletion(uid=job.meta.uid, propagation="Background"))
        except NotFound:
            return
        self._recorder.emit(cron, "Normal", "SuccessfulDelete", f"Deleted job {job.meta.name}")

    # -- status ------------------------------------------------------------------------------------------------------

    def _notice(self, cron: Object, owned: Sequence[Object]) -> None:
        """Jobs that have ended or gone, and those that somebody else made in its name."""
        for job in owned:
            if not jobs.finished(job) and not _is_active(cron, job):
                found = f"Saw a job that the controller did not create or forgot: {job.meta.name}"
                self._recorder.emit(cron, "Warning", "UnexpectedJob", found)
        by_uid = {job.meta.uid: job for job in owned}
        for ref in cron.status.get("active") or ():
            known = by_uid.get(ref.get("uid"))
            if known is None:
                self._recorder.emit(cron, "Normal", "MissingJob", f"Active job went missing: {ref.get('name', '')}")
            elif jobs.finished(known):
                how = jobs.finished(known)["type"]
                done = f"Saw completed job: {known.meta.name}, condition: {how}"
                self._recorder.emit(cron, "Normal", "SawCompletedJob", done)

    async def _tell(
        self, cron: Object, owned: Sequence[Object], active: Sequence[Object], started_s: float | None
    ) -> None:
        def told(present: Object) -> Object:
            before = present.status
            last = rfc3339(started_s) if started_s is not None else before.get("lastScheduleTime")
            ended = max([*_succeeded_at(owned), before.get("lastSuccessfulTime") or ""])
            status = {"active": _kept(before, active), "lastScheduleTime": last, "lastSuccessfulTime": ended}
            return present.with_body(status={name: value for name, value in status.items() if value})

        await self._means.tell(cron, told)

    # -- who is concerned --------------------------------------------------------------------------------------------

    def _of_job(self, event: Event) -> Iterable[Key]:
        uids = event.entry.owner_uids
        return [key for uid in uids for key in self._crons.keys_by("uid", uid)]


def _kept(before: Mapping[str, Sequence[Json]], active: Sequence[Object]) -> list[Json]:
    """References to the active Jobs, as they were where they were there."""
    known = {ref.get("uid"): ref for ref in before.get("active") or ()}
    return [known.get(job.meta.uid) or reference(job) for job in active]


def _is_active(cron: Object, job: Object) -> bool:
    return any(ref.get("uid") == job.meta.uid for ref in cron.status.get("active") or ())
