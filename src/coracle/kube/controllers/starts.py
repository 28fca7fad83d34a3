"""Which moments of a CronJob's schedule have passed without a Job, and which comes next.

Source: Kubernetes documentation, "CronJob: Job creation", "Deadline for delayed Job start".
"""

from __future__ import annotations

from dataclasses import dataclass

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.kinds.schedules import Schedule, parse_schedule

_MANY = 100
# How far back to look for the last of very many missed moments.
_WINDOWS_S = (3600.0, 86400.0, 32 * 86400.0, 366 * 86400.0)


@dataclass(frozen=True, slots=True)
class Due:
    """The last moment that has passed without a Job, whether very many have, and the next one."""

    missed_s: float | None
    too_many: bool
    next_s: float | None


def due(cron: Object, now_s: float) -> Due:
    schedule, zone = parse_schedule(cron.spec["schedule"]), cron.spec.get("timeZone") or ""
    since_s = from_rfc3339(cron.status.get("lastScheduleTime") or cron.meta.created)
    deadline_s = cron.spec.get("startingDeadlineSeconds")
    if deadline_s is not None:
        since_s = max(since_s, now_s - deadline_s)
    missed = _between(schedule, zone, since_s, now_s)
    too_many = len(missed) > _MANY
    last = _last(schedule, zone, now_s) if too_many else None
    return Due(last or (missed[-1] if missed else None), too_many, schedule.next_s(now_s, zone))


def _between(schedule: Schedule, zone: str, since_s: float, until_s: float) -> list[float]:
    """The moments after `since_s` up to `until_s`, or the first ones of very many."""
    found: list[float] = []
    at = schedule.next_s(since_s, zone)
    while at is not None and at <= until_s and len(found) <= _MANY:
        found.append(at)
        at = schedule.next_s(at, zone)
    return found


def _last(schedule: Schedule, zone: str, until_s: float) -> float | None:
    for window_s in _WINDOWS_S:
        at, last = schedule.next_s(until_s - window_s, zone), None
        while at is not None and at <= until_s:
            at, last = schedule.next_s(at, zone), at
        if last is not None:
            return last
    return None
