"""What Jobs and CronJobs may say, and what they say where the user said nothing."""

from __future__ import annotations

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds import cronjob, job, jobindexes
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
        ({"completionMode": "Sorted"}, "spec.completionMode", 'Unsupported value: "Sorted": supported values: "NonIndexed", "Indexed"'),
        ({"completionMode": "Indexed", "parallelism": 2}, "spec.completions", "Required value: when completion mode is Indexed"),
        ({**INDEXED, "parallelism": 100_001}, "spec.parallelism", "Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"),
        ({**INDEXED, "completions": 100_001, "backoffLimitPerIndex": 1}, "spec.maxFailedIndexes", "Required value: must be specified when completions is above 100000"),
        ({**INDEXED, "completions": 100_001, "backoffLimitPerIndex": 1, "maxFailedIndexes": 10_001}, "spec.maxFailedIndexes", "Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"),
        ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4}, "spec.maxFailedIndexes", "Invalid value: 4: must be less than or equal to completions"),
        ({"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex", "Invalid value: 1: requires indexed completion mode"),
        ({**INDEXED, "maxFailedIndexes": 1}, "spec.backoffLimitPerIndex", "Required value: when maxFailedIndexes is specified"),
        ({"managedBy": "acme.io/" + "x" * 60}, "spec.managedBy", "Too long: may not be more than 63 bytes"),
        ({"managedBy": "me"}, "spec.managedBy", 'Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'),
        ({"selector": {"matchLabels": {"app": "x"}}}, "spec.selector", 'Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":"u","app":"x"}}: `selector` not auto-generated'),
        (rules({"action": "Skip", "onExitCodes": CODES}), f"{RULES}.action", 'Unsupported value: "Skip": supported values: "Count", "FailIndex", "FailJob", "Ignore"'),
        (rules({"action": "Ignore"}), RULES, "Invalid value: specifying one of OnExitCodes and OnPodConditions is required"),
        (rules({"action": "Ignore", "onExitCodes": CODES, "onPodConditions": [{"type": "Ready"}]}), RULES, "Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"),
        (rules({"action": "", "onExitCodes": CODES}), f"{RULES}.action", 'Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]'),
        (rules({"action": "Ignore", "onExitCodes": {**CODES, "values": [2, 1]}}), f"{RULES}.onExitCodes.values", "Invalid value: [2,1]: must be ordered"),
        (rules({"action": "Ignore", "onExitCodes": {**CODES, "values": [1, 1]}}), f"{RULES}.onExitCodes.values[1]", "Duplicate value: 1"),
        (rules(*[{"action": "Ignore", "onExitCodes": CODES}] * 21), "spec.podFailurePolicy.rules", "Too many: 21: must have at most 20 items"),
        ({**rules({"action": "Ignore", "onExitCodes": CODES}), "podReplacementPolicy": "TerminatingOrFailed"}, "spec.podReplacementPolicy", 'Unsupported value: "TerminatingOrFailed": supported values: "Failed"'),
        (rules({"action": "FailIndex", "onExitCodes": CODES}), f"{RULES}.action", 'Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'),
        (rules({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [0]}}), f"{RULES}.onExitCodes.values[0]", "Invalid value: 0: must not be 0 for the In operator"),
        (rules({"action": "Ignore", "onExitCodes": {**CODES, "containerName": "x"}}), f"{RULES}.onExitCodes.containerName", 'Invalid value: "x": must be one of the container or initContainer names in the pod template'),
        ({**INDEXED, "successPolicy": {}}, "spec.successPolicy.rules", "Required value: at least one rules must be specified when the successPolicy is specified"),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "2-1"}]}}, "spec.successPolicy.rules[0].succeededIndexes", 'Invalid value: "2-1": error parsing succeededIndexes: non-increasing order, previous: 2, current: 1'),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededCount": 4}]}}, "spec.successPolicy.rules[0].succeededCount", "Invalid value: 4: must be less than or equal to 3 (the number of specified completions)"),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}}, "spec.successPolicy.rules[0].succeededCount", "Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"),
        ({**INDEXED, "completions": 2**31 - 1, "successPolicy": {"rules": [{"succeededIndexes": "0-2147483645", "succeededCount": 2**31 - 1}]}}, "spec.successPolicy.rules[0].succeededCount", "Invalid value: 2147483647: must be less than or equal to 2147483646 (the number of indexes in the specified succeededIndexes field)"),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-5"}]}}, "spec.successPolicy.rules[0].succeededIndexes", 'Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"'),
    ],
)  # fmt: skip
def test_what_a_job_may_not_say(spec, field, text):
    assert (field, text) in said(a_job(**spec))


def test_a_job_ends_so_its_pods_may():
    at, text = "spec.template.spec.restartPolicy", 'Required value: valid values: "OnFailure", "Never"'
    assert said(a_job(restart="Always")) == [(at, text)]
    assert said(a_job(restart=None)) == [(at, text)]
    policy = rules({"action": "Ignore", "onExitCodes": CODES})
    text = 'Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified'
    assert said(a_job(restart="OnFailure", **policy)) == [(at, text)]


def test_a_job_may_not_take_the_labels_of_another():
    given = a_job()
    template = {**given.spec["template"], "metadata": {"labels": {"controller-uid": "other"}}}
    ((field, text),) = said(given.with_spec(template=template))
    assert field == "spec.template.metadata.labels[controller-uid]"
    assert text.endswith(": must be 'u'")


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
    assert made.meta.labels == made.spec["template"]["metadata"]["labels"]
    assert admitted(a_job().with_meta(labels={"app": "x"})).meta.labels == {"app": "x"}


@pytest.mark.parametrize(
    ("spec", "change", "fields"),
    [
        ({}, {"parallelism": 5}, []),
        ({}, {"suspend": True}, []),
        ({}, {"completions": 5}, ["spec.completions"]),
        ({**INDEXED, "parallelism": 3}, {"completions": 5, "parallelism": 5}, []),
        ({**INDEXED, "parallelism": 3}, {"completions": 5}, ["spec.completions"]),
        ({**INDEXED, "parallelism": 1}, {"completions": 5, "parallelism": 5}, []),
        ({}, {"completionMode": "Indexed"}, ["spec.completionMode"]),
        ({}, {"template": {"spec": {"nodeSelector": {"a": "b"}}}}, ["spec.template"]),
    ],
)
def test_what_of_a_job_may_change(spec, change, fields):
    old = admitted(a_job(**spec))
    assert [problem.field for problem in job.KIND.validate_change(old.with_spec(**change), old, "main")] == fields


SUSPENDED = {"conditions": [{"type": "Suspended", "status": "True"}]}


@pytest.mark.parametrize(
    ("status", "change", "fields"),
    [
        pytest.param({}, {"nodeSelector": {"disk": "ssd"}}, [], id="where they run"),
        pytest.param({}, {"affinity": {"nodeAffinity": {}}}, [], id="on what node"),
        pytest.param({}, {"affinity": {"podAffinity": {}}}, ["spec.template"], id="not beside what pods"),
        pytest.param({}, {"containers": [{"name": "main", "image": "busybox", "resources": {"limits": {"cpu": "1"}}}]}, [], id="what they need"),
        pytest.param({}, {"containers": [{"name": "main", "image": "other"}]}, ["spec.template"], id="not what they are"),
        pytest.param({"startTime": "2023-11-14T22:00:00Z"}, {"nodeSelector": {"disk": "ssd"}}, ["spec.template"], id="not once begun"),
        pytest.param({"startTime": "2023-11-14T22:00:00Z", **SUSPENDED}, {"nodeSelector": {"disk": "ssd"}}, [], id="but when it rests again"),
        pytest.param({"active": 1, **SUSPENDED}, {"nodeSelector": {"disk": "ssd"}}, ["spec.template"], id="and no pod is left"),
    ],
)  # fmt: skip
def test_what_of_a_suspended_jobs_pods_may_change(status, change, fields):
    old = admitted(a_job(suspend=True))
    old = job.default(old.with_body(status=status))
    template = old.spec["template"]
    new = job.default(old.with_spec(template={**template, "spec": {**template["spec"], **change}}))
    assert [problem.field for problem in job.KIND.validate_change(new, old, "main")] == fields


@pytest.mark.parametrize(("text", "expected"), [("", []), ("0,2-4", [0, 2, 3, 4]), ("7", [7])])
def test_indexes(text, expected):
    assert [index for span in jobindexes.spans(text, 8) for index in span] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1-2-3", "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'"),
        ("x", 'cannot convert string to integer for index: "x"'),
        ("1,", 'cannot convert string to integer for index: ""'),
        ("8", 'too large index: "8"'),
        ("3,3", "non-increasing order, previous: 3, current: 3"),
        ("1-4,2", "non-increasing order, previous: 4, current: 2"),
    ],
)  # fmt: skip
def test_what_are_no_indexes(text, said):
    with pytest.raises(ValueError) as error:
        jobindexes.spans(text, 8)
    assert str(error.value) == said


@pytest.mark.parametrize(("one", "other", "both"), [("0-3", "4-7", None), ("0,2-5", "1,5", 5), ("", "1", None)])
def test_indexes_that_two_have(one, other, both):
    assert jobindexes.overlap(jobindexes.spans(one, 8), jobindexes.spans(other, 8)) == both


# -- status ------------------------------------------------------------------------------------------------------------


def so(*types):
    return {"conditions": [{"type": type, "status": "True"} for type in types]}


FROM, TO = {"startTime": "2023-11-14T22:00:00Z"}, {"completionTime": "2023-11-14T22:01:00Z"}
DONE = {**FROM, **TO, **so("SuccessCriteriaMet", "Complete")}


@pytest.mark.parametrize(
    ("before", "after", "field", "text"),
    [
        ({}, {"active": -1}, "status.active", "Invalid value: -1: must be greater than or equal to 0"),
        ({}, {"ready": 2, "active": 1}, "status.ready", "Invalid value: 2: cannot set more ready pods than active"),
        ({"failed": 2}, {"failed": 1}, "status.failed", "Invalid value: 1: cannot decrease the failed counter"),
        ({"succeeded": 2}, {}, "status.succeeded", "Invalid value: 0: cannot decrease the succeeded counter"),
        ({}, {"uncountedTerminatedPods": {"failed": ["a", "a"]}}, "status.uncountedTerminatedPods.failed[1]", 'Duplicate value: "a"'),
        ({}, {"completedIndexes": "1"}, "status.completedIndexes", 'Invalid value: "1": cannot set non-empty completedIndexes when non-indexed completion mode'),
        ({}, {"failedIndexes": ""}, "status.failedIndexes", 'Invalid value: "": cannot set non-null failedIndexes when backoffLimitPerIndex is null'),
        ({}, {**FROM, **so("Failed")}, "status.conditions", "Invalid value: cannot set Failed=True condition without the FailureTarget=true condition"),
        ({}, {**FROM, **TO, **so("Complete")}, "status.conditions", "Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
        ({}, so("SuccessCriteriaMet", "FailureTarget"), "status.conditions", "Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
        (so("SuccessCriteriaMet"), {}, "status.conditions", "Invalid value: cannot disable the SuccessCriteriaMet=True condition"),
        (DONE, {**DONE, **so("SuccessCriteriaMet")}, "status.conditions", "Invalid value: cannot disable the terminal Complete=True condition"),
        ({}, {**DONE, "active": 1}, "status.active", "Invalid value: 1: active>0 is invalid for finished job"),
        ({}, {**DONE, "terminating": 1}, "status.terminating", "Invalid value: 1: terminating>0 is invalid for finished job"),
        ({}, {**DONE, "uncountedTerminatedPods": {"failed": ["a"]}}, "status.uncountedTerminatedPods", 'Invalid value: {"failed":["a"]}: uncountedTerminatedPods needs to be empty for finished job'),
        ({}, {**TO, **so("SuccessCriteriaMet", "Complete")}, "status.startTime", "Required value: startTime is required for finished job"),
        ({}, {**FROM, **so("SuccessCriteriaMet", "Complete")}, "status.completionTime", "Required value: completionTime is required for Complete jobs"),
        ({}, {**FROM, **TO}, "status.completionTime", 'Invalid value: "2023-11-14T22:01:00Z": cannot set completionTime when there is no Complete=True condition'),
        (FROM, {}, "status.startTime", "Required value: startTime cannot be removed for unsuspended job"),
    ],
)  # fmt: skip
def test_what_a_status_may_not_say(before, after, field, text):
    old = admitted(a_job()).with_body(status=before)
    found = job.KIND.validate_change(old.with_body(status=after), old, "status")
    assert (field, text) in [(problem.field, problem.text) for problem in found]


def test_what_a_status_may_say_of_indexes():
    old = admitted(a_job(**INDEXED, backoffLimitPerIndex=1)).with_body(status={})
    fine = old.with_body(status={"completedIndexes": "0,2", "failedIndexes": "1"})
    assert job.KIND.validate_change(fine, old, "status") == []
    for done, lost, text in (
        ("0-1", "1", 'Invalid value: "1": failedIndexes and completedIndexes overlap at index: 1'),
        ("9", "", 'Invalid value: "9": error parsing completedIndexes: too large index: "9"'),
    ):
        wrong = old.with_body(status={"completedIndexes": done, "failedIndexes": lost})
        assert [problem.text for problem in job.KIND.validate_change(wrong, old, "status")] == [text]


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
        ({"jobTemplate": {"spec": a_job(restart="Always").body["spec"]}}, "spec.jobTemplate.spec.template.spec.restartPolicy", 'Required value: valid values: "OnFailure", "Never"'),
    ],
)  # fmt: skip
def test_what_a_cron_job_may_not_say(spec, field, text):
    assert [(problem.field, problem.text) for problem in cronjob.validate(a_cron(**spec))] == [(field, text)]


def test_a_cron_job():
    cron = a_cron()
    assert cronjob.validate(cron) == []
    assert set(cron.spec["jobTemplate"]["spec"]) == {"template"}  # the rest is filled in when a Job is made
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
