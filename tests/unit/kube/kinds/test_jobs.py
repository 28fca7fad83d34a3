"""What Jobs and CronJobs may say, and what they say where the user said nothing."""

from __future__ import annotations

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds import cronjob, job, jobrules
from coracle.testing.kube import a_job

NOW_S = 1_700_000_000.0
INDEXED = {"completionMode": "Indexed", "completions": 3}


def admitted(given):
    """As a new Job is stored."""
    return job.assign(job.default(given).with_meta(uid="u"), None, None)


def said(given):
    return [(problem.field, problem.text) for problem in job.validate(admitted(given))]


def rules(*given):
    return {"podFailurePolicy": {"rules": list(given)}}


CODES = {"operator": "In", "values": [42]}
RULES = "spec.podFailurePolicy.rules[0]"


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"completions": -1}, "spec.completions", "Invalid value: -1: must be greater than or equal to 0"),
        ({"backoffLimit": -1}, "spec.backoffLimit", "Invalid value: -1: must be greater than or equal to 0"),
        ({"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished", "Invalid value: -1: must be greater than or equal to 0"),
        ({"completionMode": "Sorted"}, "spec.completionMode", 'Unsupported value: "Sorted": supported values: "Indexed", "NonIndexed"'),
        ({"completionMode": "Indexed", "parallelism": 2}, "spec.completions", "Required value: when completion mode is Indexed"),
        ({**INDEXED, "completions": 100_001}, "spec.completions", "Invalid value: 100001: must be less than or equal to 100000"),
        ({"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex", "Invalid value: 1: requires indexed completion mode"),
        ({**INDEXED, "maxFailedIndexes": 1}, "spec.backoffLimitPerIndex", "Required value: when maxFailedIndexes is specified"),
        ({"managedBy": "me"}, "spec.managedBy", 'Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'),
        ({"selector": {"matchLabels": {"app": "x"}}}, "spec.selector", 'Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":"u","app":"x"}}: `selector` not auto-generated'),
        (rules({"action": "Skip", "onExitCodes": CODES}), f"{RULES}.action", 'Unsupported value: "Skip": supported values: "Count", "FailIndex", "FailJob", "Ignore"'),
        (rules({"action": "Ignore"}), RULES, 'Invalid value: {"action":"Ignore"}: specifying one of OnExitCodes and OnPodConditions is required'),
        (rules({"action": "FailIndex", "onExitCodes": CODES}), f"{RULES}.action", 'Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'),
        (rules({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [0]}}), f"{RULES}.onExitCodes.values[0]", "Invalid value: 0: must not be 0 for the In operator"),
        (rules({"action": "Ignore", "onExitCodes": {**CODES, "containerName": "x"}}), f"{RULES}.onExitCodes.containerName", 'Invalid value: "x": must be one of the container or initContainer names in the pod template'),
        ({**INDEXED, "successPolicy": {}}, "spec.successPolicy.rules", "Required value: at least one rules must be specified when the successPolicy is specified"),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "2-1"}]}}, "spec.successPolicy.rules[0].succeededIndexes", 'Invalid value: "2-1": error parsing succeededIndexes: non-increasing order, previous: -1, current: 2'),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-5"}]}}, "spec.successPolicy.rules[0].succeededIndexes", 'Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"'),
    ],
)  # fmt: skip
def test_what_a_job_may_not_say(spec, field, text):
    assert (field, text) in said(a_job(**spec))


def test_a_job_ends_so_its_pods_may():
    text = 'Unsupported value: "Always": supported values: "OnFailure", "Never"'
    assert said(a_job(restart="Always")) == [("spec.template.spec.restartPolicy", text)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "podReplacementPolicy": "TerminatingOrFailed"}),
        ({"parallelism": 3}, {"completions": None, "parallelism": 3}),
        ({"completions": 3}, {"completions": 3, "parallelism": 1, "completionMode": "NonIndexed", "suspend": False}),
        ({**INDEXED, "backoffLimitPerIndex": 1}, {"backoffLimit": 2**31 - 1}),
        (rules({"action": "Ignore", "onExitCodes": CODES}), {"podReplacementPolicy": "Failed"}),
    ],
)
def test_what_a_job_says_where_the_user_said_nothing(spec, expected):
    assert said(a_job(**spec)) == []
    full = admitted(a_job(**spec)).spec
    assert {name: full.get(name) for name in expected} == expected


def test_a_job_knows_its_pods_by_its_uid():
    made = admitted(a_job())
    assert made.spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert made.spec["template"]["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": "u",
        "batch.kubernetes.io/job-name": "work",
        "controller-uid": "u",
        "job-name": "work",
    }


@pytest.mark.parametrize(
    ("spec", "change", "fields"),
    [
        ({}, {"parallelism": 5}, []),
        ({}, {"suspend": True}, []),
        ({}, {"completions": 5}, ["spec.completions"]),
        ({**INDEXED, "parallelism": 3}, {"completions": 5, "parallelism": 5}, []),
        ({**INDEXED, "parallelism": 3}, {"completions": 5}, ["spec.completions"]),
        ({}, {"completionMode": "Indexed"}, ["spec.completionMode"]),
        ({}, {"template": {"spec": {"nodeSelector": {"a": "b"}}}}, ["spec.template"]),
    ],
)
def test_what_of_a_job_may_change(spec, change, fields):
    old = admitted(a_job(**spec))
    assert [problem.field for problem in job.validate_change(old.with_spec(**change), old, "main")] == fields


def test_where_a_suspended_jobs_pods_run_may_change():
    old = admitted(a_job(suspend=True))
    template = old.spec["template"]
    new = old.with_spec(template={**template, "spec": {**template["spec"], "nodeSelector": {"disk": "ssd"}}})
    assert job.validate_change(new, old, "main") == []
    started = old.with_status(startTime="2023-11-14T22:00:00Z")
    assert job.validate_change(new, started, "main") != []


@pytest.mark.parametrize(("text", "expected"), [("", set()), ("0,2-4", {0, 2, 3, 4}), ("7", {7})])
def test_indexes(text, expected):
    assert jobrules.parse_indexes(text, 8) == expected


START = "2023-11-14T22:00:00Z"


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {}, ["Running", "0/1", ""]),
        ({"completions": 4}, {"succeeded": 2, "startTime": START}, ["Running", "2/4", "13m"]),
        ({"parallelism": 3}, {"succeeded": 2, "startTime": START}, ["Running", "2/1 of 3", "13m"]),
        ({}, {"succeeded": 1, "startTime": START, "completionTime": "2023-11-14T22:00:05Z", "conditions": [{"type": "Complete", "status": "True"}]}, ["Complete", "1/1", "5s"]),
        ({}, {"conditions": [{"type": "Suspended", "status": "True"}]}, ["Suspended", "0/1", ""]),
        ({}, {"conditions": [{"type": "Suspended", "status": "False"}]}, ["Running", "0/1", ""]),
    ],
)  # fmt: skip
def test_a_jobs_columns(spec, status, expected):
    shown = admitted(a_job(**spec)).with_body(status=status)
    assert [column.cell(shown, NOW_S) for column in job.KIND.columns][1:4] == expected


# -- CronJob -----------------------------------------------------------------------------------------------------------


def a_cron(name="tick", **spec):
    template = {"spec": a_job().body["spec"]}
    body = {"spec": {"schedule": "*/5 * * * *", "jobTemplate": template, **spec}}
    return cronjob.default(Object("CronJob", Meta(name=name, namespace="default"), body, "batch/v1"))


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"schedule": ""}, "spec.schedule", "Required value"),
        ({"schedule": "often"}, "spec.schedule", 'Invalid value: "often": expected exactly 5 fields, found 1: [often]'),
        ({"schedule": "TZ=UTC 0 * * * *"}, "spec.schedule", 'Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone", 'Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'),
        ({"timeZone": "../../etc/passwd"}, "spec.timeZone", 'Invalid value: "../../etc/passwd": unknown time zone ../../etc/passwd'),
        ({"timeZone": "Local"}, "spec.timeZone", 'Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'),
        ({"concurrencyPolicy": "Queue"}, "spec.concurrencyPolicy", 'Unsupported value: "Queue": supported values: "Allow", "Forbid", "Replace"'),
        ({"startingDeadlineSeconds": -1}, "spec.startingDeadlineSeconds", "Invalid value: -1: must be greater than or equal to 0"),
        ({"jobTemplate": {"spec": {**a_job().body["spec"], "manualSelector": True}}}, "spec.jobTemplate.spec.manualSelector", 'Unsupported value: true: supported values: "nil", "false"'),
        ({"jobTemplate": {"spec": a_job(restart="Always").body["spec"]}}, "spec.jobTemplate.spec.template.spec.restartPolicy", 'Unsupported value: "Always": supported values: "OnFailure", "Never"'),
    ],
)  # fmt: skip
def test_what_a_cron_job_may_not_say(spec, field, text):
    assert [(problem.field, problem.text) for problem in cronjob.validate(a_cron(**spec))] == [(field, text)]


def test_a_cron_job():
    cron = a_cron()
    assert cronjob.validate(cron) == []
    said = {name: value for name, value in cron.spec.items() if name not in ("schedule", "jobTemplate")}
    assert said == {
        "suspend": False,
        "concurrencyPolicy": "Allow",
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    status = {"active": [{}], "lastScheduleTime": "2023-11-14T22:10:20Z"}
    cells = [column.cell(cron.with_body(status=status), NOW_S) for column in cronjob.KIND.columns]
    assert cells == ["tick", "*/5 * * * *", "<none>", "False", 1, "3m", "<unknown>", "main", "busybox", "<none>"]
    (problem,) = cronjob.validate(a_cron("x" * 53))
    assert problem.field == "metadata.name"
