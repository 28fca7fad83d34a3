"""CronJob: a Job at each moment that a schedule means.

Source: Kubernetes batch/v1 API, CronJobSpec; printed columns as `kubectl get cronjobs`.
"""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from coracle.core.errors import invalid, required
from coracle.core.kind import Column, Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds import jobrules, printing
from coracle.kube.kinds.blanks import absent, blank
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import not_negative, unsupported
from coracle.kube.kinds.schedules import parse_schedule

ALLOW, FORBID, REPLACE = "Allow", "Forbid", "Replace"
_LONGEST_NAME = 52  # a Job's name has eleven characters more


def default(cron: Object) -> Object:
    spec = absent(cron.body.get("spec"), suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    spec = blank(spec, concurrencyPolicy=ALLOW)
    template = absent(spec.get("jobTemplate"), metadata={})
    spec["jobTemplate"] = {**template, "spec": jobrules.default_template(template.get("spec"))}
    return cron.with_body(spec=spec)


def assign(cron: Object, old: Object | None, _reader: Reader) -> Object:
    return cron.with_body(status={}) if old is None else cron


def validate(cron: Object) -> Problems:
    spec, job = cron.spec, cron.spec["jobTemplate"]["spec"]
    problems = _schedule(spec.get("schedule") or "") + _zone(spec.get("timeZone"))
    for name in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        problems += not_negative(f"spec.{name}", spec.get(name))
    policies = (ALLOW, FORBID, REPLACE)
    if spec["concurrencyPolicy"] not in policies:
        problems.append(unsupported("spec.concurrencyPolicy", spec["concurrencyPolicy"], policies))
    at = "spec.jobTemplate.spec"
    problems += jobrules.problems(job, at)
    if job.get("selector") is not None:
        problems.append(invalid(f"{at}.selector", job["selector"], "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        problems.append(unsupported(f"{at}.manualSelector", True, ("nil", "false")))
    if len(cron.meta.name) > _LONGEST_NAME:
        problems.append(invalid("metadata.name", cron.meta.name, f"must be no more than {_LONGEST_NAME} characters"))
    return problems


def _schedule(text: str) -> Problems:
    if not text:
        return [required("spec.schedule")]
    if re.search("TZ", text):
        said = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        return [invalid("spec.schedule", text, said)]
    try:
        parse_schedule(text)
    except ValueError as error:
        return [invalid("spec.schedule", text, str(error))]
    return []


def _zone(name: str | None) -> Problems:
    if name is None:
        return []
    if not name:
        return [invalid("spec.timeZone", name, "timeZone must be nil or non-empty string")]
    if name.lower() == "local":
        said = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [invalid("spec.timeZone", name, said)]
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return [invalid("spec.timeZone", name, f"unknown time zone {name}")]
    return []


def _told(heading: str, cell: Any) -> Column:
    return printing.text(heading, cell)


def _last(cron: Object, now_s: float) -> str:
    moment = cron.status.get("lastScheduleTime")
    return printing.since(moment, now_s) if moment else printing.NONE


def _containers(which: int) -> Any:
    return lambda cron: printing.containers(cron.spec["jobTemplate"]["spec"].get("template"))[which]


KIND = Kind(
    name="CronJob",
    plural="cronjobs",
    api="batch/v1",
    singular="cronjob",
    short=("cj",),
    categories=("all",),
    schema=schema("batch/v1", "CronJob"),
    default=default,
    assign=assign,
    validate=validate,
    columns=(
        printing.NAME,
        _told("Schedule", lambda cron: cron.spec.get("schedule") or ""),
        _told("Timezone", lambda cron: cron.spec.get("timeZone") or printing.NONE),
        _told("Suspend", lambda cron: str(bool(cron.spec.get("suspend")))),
        printing.number("Active", lambda cron: len(cron.status.get("active") or ())),
        Column("Last Schedule", _last),
        printing.AGE,
        printing.wide("Containers", _containers(0)),
        printing.wide("Images", _containers(1)),
        printing.wide("Selector", lambda _cron: printing.NONE),
    ),
    subresources=frozenset(("status",)),
    loop="coracle.kube.controllers.cronjobs:CronJobs",
)
