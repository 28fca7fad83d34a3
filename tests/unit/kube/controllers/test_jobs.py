"""Jobs: counting, failures, what to start, and the whole on virtual time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coracle.core.clock import from_rfc3339
from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import workloads
from coracle.kube.controllers.jobs import conditions, indexes, plans
from coracle.kube.controllers.jobs.loop import Jobs
from coracle.kube.controllers.jobs.plans import Outcome, Start, manage, outcome
from coracle.kube.controllers.jobs.policies import judge, success
from coracle.kube.controllers.jobs.tally import FINALIZER, tally
from coracle.kube.kinds import job as jobs
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_job, a_pod

NOW_S = 1_700_000_000.0
AGO = {5: "2023-11-14T22:13:15Z", 15: "2023-11-14T22:13:05Z", 100: "2023-11-14T22:11:40Z"}
WORK = Key("default", "work")
INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
PER_INDEX = {**INDEXED, "backoffLimitPerIndex": 1}


def a_work(status=None, **spec):
    job = jobs.assign(jobs.default(a_job(**spec)).with_meta(uid="u"), None, None)
    return job.with_body(status=status or {})


def a_worker(
    name, phase="Running", *, index=None, held=True, code=None, ago_s=100, deleting="", failures=0, conditions=()
):
    """A pod of the Job; `code` is what its container exited with, `ago_s` ago."""
    code = code if code is not None else {"Failed": 1, "Succeeded": 0}.get(phase)
    ended = {"terminated": {"exitCode": code, "finishedAt": AGO[ago_s]}} if code is not None else {"running": {}}
    said = {indexes.INDEX: str(index), indexes.FAILURES: str(failures)} if index is not None else {}
    finalizers = (FINALIZER,) if held else ()
    meta = Meta(
        name=name,
        namespace="default",
        uid=f"u-{name}",
        created=AGO[100],
        deleting=deleting,
        annotations=said,
        finalizers=finalizers,
    )
    statuses = [{"name": "main", "state": ended}]
    return Object(
        "Pod",
        meta,
        {
            "spec": {"nodeName": "n1"},
            "status": {"phase": phase, "containerStatuses": statuses, "conditions": list(conditions)},
        },
    )


# -- counting ----------------------------------------------------------------------------------------------------------


def listed(succeeded=(), failed=()):
    return {"uncountedTerminatedPods": {"succeeded": list(succeeded), "failed": list(failed)}}


@pytest.mark.parametrize(
    ("status", "owned", "counted"),
    [
        pytest.param({}, [a_worker("a", "Succeeded")], (0, 0, ["u-a"], []), id="it is written down first"),
        pytest.param(listed(["u-a"]), [a_worker("a", "Succeeded")], (0, 0, ["u-a"], []), id="and once only"),
        pytest.param(listed(["u-a"]), [a_worker("a", "Succeeded", held=False)], (1, 0, [], []), id="let go, it counts"),
        pytest.param(listed(["u-a"]), [], (1, 0, [], []), id="also when it is gone"),
        pytest.param({"succeeded": 1}, [a_worker("a", "Succeeded", held=False)], (1, 0, [], []), id="counted, it counts no more"),
        pytest.param({"failed": 2, **listed(failed=["u-a", "u-b"])}, [a_worker("a", "Failed")], (0, 3, [], ["u-a"]), id="failures too"),
        pytest.param({}, [a_worker("a", deleting=AGO[5])], (0, 0, [], ["u-a"]), id="one that is removed has failed"),
        pytest.param({}, [a_worker("a", "Succeeded", deleting=AGO[5])], (0, 0, ["u-a"], []), id="unless it had succeeded"),
    ],
)  # fmt: skip
def test_counting(status, owned, counted):
    found = tally(a_work(status, completions=5), owned)
    assert (found.succeeded, found.failed, list(found.listed_succeeded), list(found.listed_failed)) == counted
    assert set(found.listed_succeeded) | set(found.listed_failed) == found.settled


def test_where_only_the_end_counts_one_on_its_way_out_is_waited_for():
    going = a_worker("a", deleting=AGO[5])
    found = tally(a_work(podReplacementPolicy="Failed"), [going])
    assert (found.listed_failed, found.terminating) == ((), (going,))
    assert manage(a_work(podReplacementPolicy="Failed"), found, NOW_S).make == ()
    assert len(manage(a_work(), tally(a_work(), [going]), NOW_S).make) == 1


def test_counting_indexes():
    owned = [
        a_worker("a", "Succeeded", index=2),
        a_worker("b", "Failed", index=0, failures=1),
        a_worker("c", "Failed", index=1),
        a_worker("d", "Succeeded", index=9),
        a_worker("e", "Failed", index=9),
    ]
    found = tally(a_work({"completedIndexes": ""}, **PER_INDEX), owned)
    assert (found.completed, found.failed_indexes, found.succeeded) == ({2}, {0}, 1)
    assert found.settled == {"u-a", "u-b", "u-d", "u-e"}
    assert (found.listed_failed, found.kept_back, found.all_failed) == (("u-b",), 1, 2)


def test_a_failed_pod_stays_until_its_index_is_tried_again():
    """The next one is told how often it has failed, though somebody removes the failed one meanwhile."""
    failed = a_worker("a", "Failed", index=1, failures=3, deleting=AGO[5])
    job = a_work(**{**PER_INDEX, "backoffLimitPerIndex": 9})
    assert tally(job, [failed]).settled == frozenset()
    assert Start(1, 4) in manage(job, tally(job, [failed]), NOW_S).make
    again = a_worker("b", index=1, failures=4)
    assert tally(job, [failed, again]).settled == {"u-a"}
    assert tally(job, [failed], "failed").settled == {"u-a"}


def test_at_the_end_every_pod_is_let_go_and_those_that_ran_count_only_where_it_failed():
    owned = [a_worker("a"), a_worker("b", "Succeeded"), a_worker("c", "Failed")]
    for ending, failed in (("succeeded", ("u-c",)), ("failed", ("u-a", "u-c"))):
        found = tally(a_work(completions=5), owned, ending)
        assert (found.listed_succeeded, found.listed_failed) == (("u-b",), failed)
        assert found.settled == {"u-a", "u-b", "u-c"}


@pytest.mark.parametrize(("found", "text"), [(set(), ""), ({3}, "3"), ({0, 1, 2, 5, 7, 8}, "0-2,5,7-8")])
def test_indexes_are_written_as_ranges(found, text):
    assert indexes.write(found) == text
    assert indexes.read(text, 10) == found
    assert indexes.read("nonsense", 10) == set()
    assert indexes.read("0,2-9", 4) == {0, 2, 3}


# -- policies ----------------------------------------------------------------------------------------------------------


def policy(*rules, **spec):
    return {**spec, "podFailurePolicy": {"rules": list(rules)}}


IGNORE_DISRUPTED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
FAIL_ON_42 = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [40, 42]}}
DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


@pytest.mark.parametrize(
    ("rules", "pod", "action", "message"),
    [
        pytest.param([FAIL_ON_42], a_worker("a", "Failed", code=42), "FailJob", "Container main for pod default/a failed with exit code 42 matching FailJob rule at index 0", id="by exit code"),
        pytest.param([FAIL_ON_42], a_worker("a", "Failed", code=1), "Count", "", id="another code"),
        pytest.param([IGNORE_DISRUPTED, FAIL_ON_42], a_worker("a", "Failed", code=42, conditions=DISRUPTED), "Ignore", "Pod default/a has condition DisruptionTarget matching Ignore rule at index 0", id="the first rule that matches"),
        pytest.param([{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [1]}}], a_worker("a", "Failed", code=7), "FailJob", "Container main for pod default/a failed with exit code 7 matching FailJob rule at index 0", id="any but these"),
        pytest.param([FAIL_ON_42], a_worker("a", code=42), "Count", "", id="only once it has failed"),
    ],
)  # fmt: skip
def test_judgements(rules, pod, action, message):
    assert judge(a_work(**policy(*rules)), pod) == (action, message)


@pytest.mark.parametrize(
    ("rules", "completed", "expected"),
    [
        ([{"succeededIndexes": "0,2"}], {0, 1}, ""),
        ([{"succeededIndexes": "0,2"}], {0, 2}, "Matched rules at index 0"),
        ([{"succeededIndexes": "1-2", "succeededCount": 1}], {2}, "Matched rules at index 0"),
        ([{"succeededIndexes": "0"}, {"succeededCount": 2}], {1, 2}, "Matched rules at index 1"),
    ],
)
def test_success_policies(rules, completed, expected):
    assert success(a_work(**INDEXED, successPolicy={"rules": rules}), completed) == expected


# -- is it over? -------------------------------------------------------------------------------------------------------

FAILED = [a_worker(name, "Failed") for name in ("a", "b", "c")]
LIMIT = Outcome(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
DONE = Outcome(True, "CompletionsReached", "Reached expected number of succeeded pods")
LATE = Outcome(False, "DeadlineExceeded", "Job was active longer than specified deadline")


def restarted(times):
    pod = a_worker("a")
    return pod.with_status(containerStatuses=[{"name": "main", "restartCount": times, "state": {"running": {}}}])


@pytest.mark.parametrize(
    ("spec", "status", "owned", "expected"),
    [
        pytest.param({}, {}, [a_worker("a")], None, id="running"),
        pytest.param({}, {}, [a_worker("a", "Succeeded")], DONE, id="as many as asked for"),
        pytest.param({"completions": 3}, {"succeeded": 2}, [a_worker("a", "Succeeded")], DONE, id="with those counted before"),
        pytest.param({"completions": 0}, {}, [], DONE, id="none"),
        pytest.param({"backoffLimit": 2}, {}, FAILED, LIMIT, id="too many failures"),
        pytest.param({"backoffLimit": 3}, {}, FAILED, None, id="not too many"),
        pytest.param({"parallelism": 2}, {}, [a_worker("a", "Succeeded"), a_worker("b")], None, id="a queue waits for the others"),
        pytest.param({"parallelism": 2}, {}, [a_worker("a", "Succeeded"), a_worker("b", "Failed")], DONE, id="one success and nobody left"),
        pytest.param({"restart": "OnFailure", "backoffLimit": 2}, {}, [restarted(2)], LIMIT, id="restarts count"),
        pytest.param({"restart": "OnFailure", "backoffLimit": 2}, {}, [restarted(1)], None, id="but not one too few"),
        pytest.param({"restart": "OnFailure", "backoffLimit": 0}, {}, [restarted(1)], LIMIT, id="where none is allowed one is too many"),
        pytest.param({"restart": "OnFailure", "backoffLimit": 0}, {}, [restarted(0)], None, id="and none is not"),
        pytest.param({"restart": "OnFailure", "backoffLimit": 2}, {}, [restarted(1), restarted(1)], LIMIT, id="of all pods together"),
        pytest.param({"restart": "OnFailure", "backoffLimit": 2}, {}, [restarted(1), a_worker("b").with_status(initContainerStatuses=[{"name": "i", "restartCount": 1}])], LIMIT, id="of what runs first too"),
        pytest.param({"restart": "Never", "backoffLimit": 1}, {}, [restarted(3)], None, id="but not of containers with rules of their own"),
        pytest.param({"activeDeadlineSeconds": 10}, {"startTime": AGO[15]}, [a_worker("a")], LATE, id="too late"),
        pytest.param({"activeDeadlineSeconds": 10}, {"startTime": AGO[5]}, [a_worker("a")], None, id="not yet"),
        pytest.param({"activeDeadlineSeconds": 10, "suspend": True}, {"startTime": AGO[15]}, [], None, id="suspended, time stands still"),
        pytest.param(policy(FAIL_ON_42), {}, [a_worker("a", "Failed", code=42)], Outcome(False, "PodFailurePolicy", "Container main for pod default/a failed with exit code 42 matching FailJob rule at index 0"), id="a rule"),
        pytest.param(PER_INDEX, {"completedIndexes": "0,2"}, [a_worker("a", "Failed", index=1, failures=1)], Outcome(False, "FailedIndexes", "Job has failed indexes"), id="an index failed, the others are done"),
        pytest.param({**PER_INDEX, "maxFailedIndexes": 0}, {}, [a_worker("a", "Failed", index=1, failures=1)], Outcome(False, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"), id="too many indexes failed"),
        pytest.param({**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}]}}, {"completedIndexes": "2"}, [a_worker("a")], Outcome(True, "SuccessPolicy", "Matched rules at index 0"), id="enough, says the policy"),
        pytest.param({}, {"conditions": [{"type": "FailureTarget", "status": "True", "reason": "R", "message": "M"}]}, [a_worker("a", "Succeeded")], Outcome(False, "R", "M"), id="what was decided stands"),
    ],
)  # fmt: skip
def test_outcomes(spec, status, owned, expected):
    job = a_work(status, **spec)
    assert outcome(job, tally(job, owned), NOW_S) == expected


# -- what to start and to remove ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "status", "owned", "make", "remove", "wait_s"),
    [
        pytest.param({"completions": 5, "parallelism": 2}, {}, [], 2, [], 0, id="as many as may run"),
        pytest.param({"completions": 5, "parallelism": 4}, {"succeeded": 3}, [a_worker("a")], 1, [], 0, id="no more than are needed"),
        pytest.param({"parallelism": 3}, {"succeeded": 1}, [a_worker("a")], 0, [], 0, id="a queue that runs dry gets none"),
        pytest.param({"parallelism": 1}, {}, [a_worker("a"), a_worker("b")], 0, ["a"], 0, id="too many"),
        pytest.param({"suspend": True}, {}, [a_worker("a")], 0, ["a"], 0, id="suspended"),
        pytest.param({}, {}, [a_worker("a", "Failed", ago_s=5)], 0, [], 5, id="ten seconds after a failure"),
        pytest.param({}, {}, [a_worker("a", "Failed", ago_s=15), a_worker("b", "Failed", ago_s=5)], 0, [], 15, id="twice as long after the second"),
        pytest.param({}, {}, [a_worker("a", "Failed", ago_s=15)], 1, [], 0, id="then again"),
        pytest.param({"completions": 2}, {}, [a_worker("a", "Failed", ago_s=15), a_worker("b", "Succeeded", ago_s=5)], 1, [], 0, id="a success makes good"),
        pytest.param({"parallelism": 1000, "completions": 1000}, {}, [], 500, [], 0, id="a burst at most"),
    ],
)  # fmt: skip
def test_managing(spec, status, owned, make, remove, wait_s):
    job = a_work(status, **spec)
    todo = manage(job, tally(job, owned), NOW_S)
    assert (len(todo.make), [pod.meta.name for pod in todo.remove], todo.wait_s) == (make, remove, wait_s)


@pytest.mark.parametrize(
    ("spec", "status", "owned", "make", "remove", "wait_s"),
    [
        pytest.param(INDEXED, {}, [], [0, 1, 2], [], 0, id="each once"),
        pytest.param(INDEXED, {"completedIndexes": "1"}, [a_worker("a", index=0)], [2], [], 0, id="those that nothing works on"),
        pytest.param(INDEXED, {}, [a_worker("a", index=0), a_worker("b", index=0)], [], ["a"], 0, id="no two at one"),
        pytest.param(INDEXED, {}, [a_worker("a", index=0), a_worker("b", "Pending", index=0)], [], ["b"], 0, id="of two the one that has come less far"),
        pytest.param(INDEXED, {}, [a_worker("a", index=7)], [], ["a"], 0, id="none beyond the last"),
        pytest.param(PER_INDEX, {}, [a_worker("a", "Failed", index=1, ago_s=5)], [0, 2], [], 5, id="an index waits for itself only"),
        pytest.param(PER_INDEX, {"failedIndexes": "1"}, [], [0, 2], [], 0, id="one that has failed stays so"),
        pytest.param({**INDEXED, "completions": 2**31 - 1}, {"completedIndexes": "0"}, [], [1, 2, 3], [], 0, id="of very many the first"),
    ],
)  # fmt: skip
def test_managing_indexes(spec, status, owned, make, remove, wait_s):
    job = a_work(status, **spec)
    todo = manage(job, tally(job, owned), NOW_S)
    assert ([start.index for start in todo.make], [pod.meta.name for pod in todo.remove], todo.wait_s) == (
        make,
        remove,
        wait_s,
    )


def test_a_pod_knows_how_often_its_index_has_failed():
    job = a_work(**{**PER_INDEX, "backoffLimitPerIndex": 5})
    owned = [a_worker("a", "Failed", index=1, failures=1, ago_s=100)]
    assert Start(1, 2) in manage(job, tally(job, owned), NOW_S).make


def test_backoff_has_an_end():
    failures = [a_worker(str(number), "Failed", ago_s=100) for number in range(30)]
    assert plans.backoff_s(a_work(), failures, NOW_S) == 500


# -- status ------------------------------------------------------------------------------------------------------------


def told(over, owned=(), **status):
    job = a_work(status)
    said = conditions.status(job, tally(job, owned), over, NOW_S)
    return [entry["type"] for entry in said.get("conditions", ()) if entry["status"] == "True"], said


def test_the_end_is_told_when_no_pod_is_left():
    assert told(DONE, [a_worker("a")])[0] == ["SuccessCriteriaMet"]
    assert told(LIMIT, [a_worker("a", deleting=AGO[5], held=False)])[0] == ["FailureTarget"]
    assert told(DONE, [a_worker("a", "Succeeded")])[0] == ["SuccessCriteriaMet"]  # it is not in the counter yet
    types, said = told(DONE, [], succeeded=1)
    assert types == ["SuccessCriteriaMet", "Complete"]
    assert said["completionTime"] == said["startTime"]
    types, said = told(LIMIT)
    assert types == ["FailureTarget", "Failed"]
    assert "completionTime" not in said


def test_what_a_status_says_of_indexes():
    def said(**spec):
        job = a_work(**spec)
        return conditions.status(job, tally(job, []), None, NOW_S)

    assert said(**PER_INDEX)["failedIndexes"] == ""
    assert "failedIndexes" not in said(**INDEXED)


def test_who_is_active_ready_and_going_is_counted():
    ready = a_worker("a", conditions=[{"type": "Ready", "status": "True"}])
    going = a_worker("c", deleting=AGO[5], held=False)
    job = a_work(completions=3, parallelism=3)
    said = conditions.status(job, tally(job, [ready, a_worker("b"), going]), None, NOW_S)
    assert {name: said.get(name) for name in ("active", "ready", "terminating")} == {
        "active": 2,
        "ready": 1,
        "terminating": 1,
    }


def test_a_suspended_job_has_not_begun():
    assert told(None)[1]["startTime"] == "2023-11-14T22:13:20Z"
    job = a_work({"startTime": AGO[15], "active": 1}, suspend=True)
    said = conditions.status(job, tally(job, []), None, NOW_S)
    assert "startTime" not in said
    assert [(entry["type"], entry["reason"]) for entry in said["conditions"]] == [("Suspended", "JobSuspended")]
    over = conditions.status(job, tally(job, []), LIMIT, NOW_S)
    assert (over["startTime"], [entry["type"] for entry in over["conditions"]]) == (
        AGO[15],
        ["FailureTarget", "Failed"],
    )


# -- on virtual time ---------------------------------------------------------------------------------------------------


class Cluster(Stage):
    def __init__(self, exits=lambda _pod: 0, **kubelet):
        super().__init__(workloads.INDEXES)
        self.jobs, self.pods = self["Job"], self["Pod"]
        self.run(Jobs(self.means))
        self.run(Kubelet(self, exits=exits, **{"ready_after_s": 1, **kubelet}))
        self.most = 0
        self.caches["Pod"].listen(lambda _event: self._look())

    def _look(self):
        self.most = max(
            self.most,
            sum(
                1
                for pod in self.caches["Pod"].list()
                if "phase" not in pod.status or pod.status["phase"] in ("Pending", "Running")
            ),
        )

    async def start(self, **spec):
        await self.rooms()
        await self.jobs.create(a_job(**spec))

    @property
    def status(self):
        return self.jobs.get(WORK).status

    def is_so(self):
        return [c["type"] for c in self.status.get("conditions", ()) if c.get("status") == "True"]


def test_a_job_runs_to_its_end_and_no_wider_than_it_may():
    async def main():
        cluster = Cluster()
        await cluster.start(completions=5, parallelism=2)
        await cluster.settle(60)
        assert cluster.is_so() == ["SuccessCriteriaMet", "Complete"]
        assert (cluster.status["succeeded"], cluster.status["uncountedTerminatedPods"]) == (5, {})
        assert cluster.most == 2
        assert all(pod.meta.finalizers == () for pod in cluster.pods.list())
        assert cluster.said("Completed") == ["Job completed"]
        assert len(cluster.said("SuccessfulCreate")) == 5

    run(main())


def test_each_index_runs_once_and_knows_itself():
    async def main():
        cluster = Cluster()
        await cluster.start(**INDEXED)
        await cluster.settle(60)
        assert (cluster.status["completedIndexes"], cluster.status["succeeded"]) == ("0-2", 3)
        pods = sorted(cluster.pods.list(), key=lambda pod: pod.meta.name)
        assert [pod.spec["hostname"] for pod in pods] == ["work-0", "work-1", "work-2"]
        assert [pod.meta.labels[indexes.INDEX] for pod in pods] == ["0", "1", "2"]
        variable = pods[0].spec["containers"][0]["env"][0]
        assert variable["name"] == "JOB_COMPLETION_INDEX"

    run(main())


def test_failures_are_tried_again_ever_more_slowly_until_the_limit():
    async def main():
        cluster = Cluster(exits=lambda _pod: 1)
        await cluster.start(backoffLimit=3)
        await cluster.settle(300)
        assert cluster.is_so() == ["FailureTarget", "Failed"]
        assert cluster.status["failed"] == 4
        made_s = sorted(from_rfc3339(pod.meta.created) - NOW_S for pod in cluster.pods.list())
        assert made_s == [0, 11, 32, 73]  # each runs a second; then 10, 20, 40 s
        assert cluster.said("BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]

    run(main())


def test_a_job_that_is_too_late_ends_with_its_pods():
    async def main():
        cluster = Cluster(ready_after_s=1000)
        await cluster.start(activeDeadlineSeconds=50, parallelism=2)
        await cluster.settle(40)
        assert cluster.status["active"] == 2
        await cluster.settle(20)
        assert cluster.is_so() == ["FailureTarget", "Failed"]
        assert cluster.said("DeadlineExceeded") == ["Job was active longer than specified deadline"]
        assert cluster.pods.list() == []

    run(main())


def test_suspended_and_resumed():
    async def main():
        cluster = Cluster(ready_after_s=100)
        await cluster.start(completions=2, parallelism=2)
        await cluster.settle(10)
        start = cluster.status["startTime"]
        await cluster.jobs.change(WORK, lambda job: job.with_spec(suspend=True))
        await cluster.settle(10)
        assert cluster.pods.list() == []
        assert cluster.is_so() == ["Suspended"]
        assert "failed" not in cluster.status
        assert "startTime" not in cluster.status
        await cluster.jobs.change(WORK, lambda job: job.with_spec(suspend=False))
        await cluster.settle(120)
        assert cluster.is_so() == ["SuccessCriteriaMet", "Complete"]
        assert cluster.status["startTime"] > start
        assert (cluster.said("Suspended"), cluster.said("Resumed")) == (["Job suspended"], ["Job resumed"])

    run(main())


def test_an_index_has_a_limit_of_its_own():
    async def main():
        cluster = Cluster(exits=lambda pod: int(pod.meta.annotations[indexes.INDEX] == "1"))
        await cluster.start(**PER_INDEX)
        await cluster.settle(120)
        assert cluster.is_so() == ["FailureTarget", "Failed"]
        assert (cluster.status["completedIndexes"], cluster.status["failedIndexes"]) == ("0,2", "1")
        assert cluster.status["failed"] == 2

    run(main())


def test_an_index_is_tried_as_often_as_it_may_though_its_failed_pods_are_removed():
    async def main():
        cluster = Cluster(exits=lambda _pod: 1)
        await cluster.start(completionMode="Indexed", completions=1, backoffLimitPerIndex=3)
        for _ in range(20):
            await cluster.settle(10)
            for pod in cluster.pods.list():
                await cluster.pods.delete(pod.key, missing_ok=True)
        assert cluster.is_so() == ["FailureTarget", "Failed"]
        assert (cluster.status["failed"], cluster.status["failedIndexes"]) == (4, "0")
        assert len(cluster.said("SuccessfulCreate")) == 4

    run(main())


def test_an_indexed_job_shrinks_and_grows():
    async def main():
        cluster = Cluster(ready_after_s=5)
        await cluster.start(completionMode="Indexed", completions=4, parallelism=4)
        await cluster.settle(2)
        pods = {pod.meta.labels[indexes.INDEX]: pod.key for pod in cluster.pods.list()}
        for index in ("0", "3"):
            await cluster.pods.change(pods[index], lambda pod: pod.with_status(phase="Succeeded"), part="status")
        await cluster.settle(1)
        assert cluster.status["completedIndexes"] == "0,3"
        await cluster.jobs.change(WORK, lambda job: job.with_spec(completions=2, parallelism=2))
        await cluster.settle(1)
        assert (cluster.status["completedIndexes"], cluster.status["succeeded"], cluster.status["active"]) == (
            "0",
            1,
            1,
        )
        await cluster.jobs.change(WORK, lambda job: job.with_spec(completions=3, parallelism=3))
        await cluster.settle(60)
        assert cluster.is_so() == ["SuccessCriteriaMet", "Complete"]
        assert (cluster.status["completedIndexes"], cluster.status.get("failed")) == ("0-2", None)

    run(main())


def test_those_that_still_run_when_it_is_enough_have_not_failed():
    async def main():
        cluster = Cluster(ready_after_s=30)
        rules = {"rules": [{"succeededIndexes": "1"}]}
        await cluster.start(**INDEXED, successPolicy=rules)
        await cluster.settle(10)
        (pod,) = [pod for pod in cluster.pods.list() if pod.meta.labels[indexes.INDEX] == "1"]
        await cluster.pods.change(pod.key, lambda pod: pod.with_status(phase="Succeeded"), part="status")
        await cluster.settle(10)
        assert cluster.is_so() == ["SuccessCriteriaMet", "Complete"]
        assert (cluster.status["completedIndexes"], cluster.status.get("failed")) == ("1", None)
        assert len(cluster.pods.list()) == 1

    run(main())


def test_those_that_still_run_when_it_has_failed_have_failed_too():
    async def main():
        cluster = Cluster(ready_after_s=30)
        await cluster.start(parallelism=3, completions=3, activeDeadlineSeconds=10)
        await cluster.settle(20)
        assert cluster.is_so() == ["FailureTarget", "Failed"]
        assert cluster.status["failed"] == 3

    run(main())


def test_ignored_failures_do_not_count():
    async def main():
        codes = iter([42, 0])
        cluster = Cluster(exits=lambda _pod: next(codes))
        ignore = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}
        await cluster.start(backoffLimit=0, **policy(ignore))
        await cluster.settle(60)
        assert cluster.is_so() == ["SuccessCriteriaMet", "Complete"]
        assert "failed" not in cluster.status

    run(main())


def test_a_finished_job_goes_after_its_time():
    async def main():
        cluster = Cluster()
        await cluster.start(ttlSecondsAfterFinished=30)
        await cluster.settle(20)
        assert cluster.is_so()[-1] == "Complete"
        assert not cluster.jobs.get(WORK).meta.deleting
        await cluster.settle(20)
        doomed = cluster.jobs.get(WORK)
        assert (bool(doomed.meta.deleting), doomed.meta.finalizers) == (True, ("foregroundDeletion",))

    run(main())


def test_when_a_job_is_gone_its_pods_are_held_no_longer():
    async def main():
        cluster = Cluster(ready_after_s=1000)
        await cluster.start()
        await cluster.settle(5)
        (pod,) = cluster.pods.list()
        assert pod.meta.finalizers == (FINALIZER,)
        await cluster.jobs.delete(WORK)
        await cluster.settle(5)
        assert cluster.pods.get(pod.key).meta.finalizers == ()

    run(main())


def test_a_pod_that_fits_is_adopted_and_one_that_no_longer_does_is_released():
    async def main():
        cluster = Cluster(ready_after_s=1000)
        await cluster.rooms()
        await cluster.pods.create(a_pod("stray", {"app": "work"}, restartPolicy="Never"))
        job = a_job(manualSelector=True, selector={"matchLabels": {"app": "work"}})
        template = {**job.spec["template"], "metadata": {"labels": {"app": "work"}}}
        await cluster.jobs.create(job.with_spec(template=template))
        await cluster.settle(5)
        (pod,) = cluster.pods.list()
        assert (pod.meta.controller.name, pod.meta.finalizers) == ("work", (FINALIZER,))
        await cluster.pods.change(pod.key, lambda pod: pod.with_meta(labels={}))
        await cluster.settle(5)
        assert len(cluster.pods.list()) == 2
        assert (cluster.pods.get(pod.key).meta.owners, cluster.pods.get(pod.key).meta.finalizers) == ((), ())

    run(main())


def test_what_others_write_into_its_status_does_no_harm():
    async def main():
        cluster = Cluster()
        await cluster.start(ttlSecondsAfterFinished=1000)
        strange = [{}, {"type": "Custom", "status": "True"}]
        await cluster.jobs.change(WORK, lambda job: job.with_status(conditions=strange), part="status")
        await cluster.settle(60)
        assert cluster.is_so() == ["Custom", "SuccessCriteriaMet", "Complete"]

    run(main())


def test_a_job_that_somebody_else_manages_is_left_alone():
    async def main():
        cluster = Cluster()
        await cluster.start(managedBy="acme.io/queue")
        await cluster.settle(10)
        assert (cluster.pods.list(), cluster.status) == ([], {})

    run(main())


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(["kill", "fail", "wide", "suspend", "resume"]), max_size=8), st.booleans(), st.integers()
)
def test_whatever_happens_every_completion_is_counted_once(blows, indexed, seed):
    async def main():
        chance = random.Random(seed)
        cluster = Cluster(ready_after_s=2, stop_s=1)
        mode = "Indexed" if indexed else "NonIndexed"
        await cluster.start(completions=6, parallelism=2, backoffLimit=1000, completionMode=mode)
        for blow in blows:
            await cluster.settle(chance.choice([0.0, 0.9, 3.0]) + chance.random() / 10)
            await strike(cluster, blow, chance)
        await cluster.jobs.change(WORK, lambda job: job.with_spec(suspend=False, parallelism=3))
        await cluster.settle(20_000)
        assert cluster.is_so() == ["SuccessCriteriaMet", "Complete"]
        won = [pod for pod in cluster.pods.list() if pod.status["phase"] == "Succeeded"]
        assert cluster.status["succeeded"] >= 6
        assert len(won) <= cluster.status["succeeded"]
        assert cluster.status["uncountedTerminatedPods"] == {}
        assert all(pod.meta.finalizers == () for pod in cluster.pods.list())

    run(main())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["kill", "fail", "sweep"]), max_size=12), st.integers())
def test_whatever_happens_no_index_is_tried_more_often_than_it_may(blows, seed):
    async def main():
        chance = random.Random(seed)
        cluster = Cluster(ready_after_s=15, stop_s=1)
        await cluster.start(completions=3, parallelism=3, completionMode="Indexed", backoffLimitPerIndex=1)
        for blow in blows:
            await cluster.settle(chance.choice([0.9, 11.0, 21.0]) + chance.random() / 10)
            await strike(cluster, blow, chance)
        await cluster.settle(1000)
        made = len(cluster.said("SuccessfulCreate"))
        lost = indexes.read(cluster.status["failedIndexes"], 3)
        assert made <= 6
        assert cluster.is_so()[-1] == ("Failed" if lost else "Complete")
        assert indexes.read(cluster.status.get("completedIndexes"), 3) | lost == {0, 1, 2}
        assert cluster.status.get("failed", 0) == made - cluster.status.get("succeeded", 0)
        assert all(pod.meta.finalizers == () for pod in cluster.pods.list())

    run(main())


async def strike(cluster, blow, chance):
    if cluster.status.get("completionTime"):
        return
    if blow == "sweep":
        for pod in cluster.pods.list():
            await cluster.pods.delete(pod.key, missing_ok=True)
    running = [
        pod
        for pod in cluster.pods.list()
        if not pod.meta.deleting and pod.status["phase"] not in ("Failed", "Succeeded")
    ]
    match blow:
        case "kill" if running:
            await cluster.pods.delete(chance.choice(running).key)
        case "fail" if running:
            doomed = chance.choice(running).key
            await cluster.pods.change(doomed, lambda pod: pod.with_status(phase="Failed", conditions=[]), part="status")
        case "wide":
            wide = chance.randint(0, 5)
            await cluster.jobs.change(WORK, lambda job: job.with_spec(parallelism=wide))
        case "suspend" | "resume":
            await cluster.jobs.change(WORK, lambda job: job.with_spec(suspend=blow == "suspend"))
