"""CronJobs: what is due, what stays, and the whole on virtual time."""

from __future__ import annotations

from zoneinfo import ZoneInfoNotFoundError

import pytest

from coracle.core.clock import from_rfc3339, rfc3339
from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import cronjobs, workloads
from coracle.kube.controllers.cronjobs import CronJobs, new_job, outdated
from coracle.kube.controllers.jobs.loop import Jobs
from coracle.kube.controllers.starts import due
from coracle.kube.kinds import cronjob
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_job

NOW_S = 1_700_000_000.0  # 2023-11-14T22:13:20Z
TICK = Key("default", "tick")


def a_cron(created="2023-11-14T22:00:00Z", status=None, **spec):
    template = {"metadata": {"labels": {"from": "tick"}}, "spec": a_job().body["spec"]}
    body = {"spec": {"schedule": "*/5 * * * *", "jobTemplate": template, **spec}, "status": status or {}}
    meta = Meta(name="tick", namespace="default", created=created)
    return cronjob.default(Object("CronJob", meta, body, "batch/v1"))


@pytest.mark.parametrize(
    ("cron", "missed", "too_many"),
    [
        pytest.param(a_cron("2023-11-14T22:11:00Z"), None, False, id="nothing yet"),
        pytest.param(a_cron(), "2023-11-14T22:10:00Z", False, id="the last one that has passed"),
        pytest.param(a_cron(status={"lastScheduleTime": "2023-11-14T22:10:00Z"}), None, False, id="each once"),
        pytest.param(a_cron(startingDeadlineSeconds=100), None, False, id="too late"),
        pytest.param(a_cron(startingDeadlineSeconds=300), "2023-11-14T22:10:00Z", False, id="not too late"),
        pytest.param(a_cron(startingDeadlineSeconds=300, status={"lastScheduleTime": "2023-11-14T22:10:00Z"}), None, False, id="once, however late it might be"),
        pytest.param(a_cron("2023-11-01T00:00:00Z"), "2023-11-14T22:10:00Z", True, id="very many"),
        pytest.param(a_cron("2023-11-14T13:54:00Z"), "2023-11-14T22:10:00Z", False, id="a hundred are not many"),
        pytest.param(a_cron("2023-11-14T13:49:00Z"), "2023-11-14T22:10:00Z", True, id="one more is"),
        pytest.param(a_cron("2022-01-01T00:00:00Z", schedule="0 0 * * *"), "2023-11-14T00:00:00Z", True, id="very many days"),
        pytest.param(a_cron("2003-01-01T00:00:00Z", schedule="0 0 1 * *"), "2023-11-01T00:00:00Z", True, id="very many months"),
        pytest.param(a_cron("1870-01-01T00:00:00Z", schedule="0 0 1 1 *"), "2023-01-01T00:00:00Z", True, id="very many years"),
        pytest.param(a_cron("2013-01-01T00:00:00Z", schedule="0 0 1 1 *"), "2023-01-01T00:00:00Z", False, id="rare ones"),
        pytest.param(a_cron(schedule="*/5 23 * * *", timeZone="Europe/Berlin"), "2023-11-14T22:10:00Z", False, id="in another zone"),
    ],
)  # fmt: skip
def test_what_is_due(cron, missed, too_many):
    found = due(cron, NOW_S)
    assert (rfc3339(found.missed_s) if found.missed_s else None, found.too_many) == (missed, too_many)
    assert found.next_s > NOW_S


def test_a_job_is_called_after_its_moment():
    job = new_job(a_cron(timeZone="Asia/Kolkata"), from_rfc3339("2023-11-14T22:10:00Z"))
    assert job.meta.name == "tick-28333330"
    assert job.meta.labels == {"from": "tick"}
    assert job.meta.annotations == {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2023-11-15T03:40:00+05:30"}
    assert job.meta.controller.kind == "CronJob"


def an_old_job(name, type, minute):
    status = {"startTime": f"2023-11-14T22:{minute}:00Z", "conditions": [{"type": type, "status": "True"}]}
    return a_job(name).with_body(status=status)


def test_the_oldest_go():
    owned = [
        *(an_old_job(f"good-{minute}", "Complete", minute) for minute in (12, 10, 11, 13)),
        *(an_old_job(f"bad-{minute}", "Failed", minute) for minute in (11, 10)),
        a_job("running"),
    ]
    assert [job.meta.name for job in outdated(a_cron(), owned)] == ["good-10", "bad-10"]
    assert len(outdated(a_cron(successfulJobsHistoryLimit=0, failedJobsHistoryLimit=0), owned)) == 6


class Cluster(Stage):
    def __init__(self, runs_s=1, exits=lambda _pod: 0):
        super().__init__(workloads.INDEXES)
        self.crons, self.jobs = self["CronJob"], self["Job"]
        self.run(CronJobs(self.means))
        self.run(Jobs(self.means))
        self.run(Kubelet(self, ready_after_s=runs_s, exits=exits))

    async def start(self, **spec):
        await self.rooms()
        await self.crons.create(a_cron(**spec).with_meta(created=""))

    def names(self):
        return [job.meta.name for job in self.jobs.list()]


def test_a_job_at_each_moment_and_the_last_ones_are_kept():
    async def main():
        cluster = Cluster()
        await cluster.start(successfulJobsHistoryLimit=2)
        await cluster.settle(90)
        assert cluster.names() == []  # it is 22:14:50
        await cluster.settle(15)
        assert cluster.names() == ["tick-28333335"]
        await cluster.settle(3600)
        assert cluster.names() == ["tick-28333390", "tick-28333395"]
        status = cluster.crons.get(TICK).status
        assert status["lastScheduleTime"] == "2023-11-14T23:15:00Z"
        assert status["lastSuccessfulTime"] == "2023-11-14T23:15:01Z"
        assert "active" not in status
        assert "Created job tick-28333335" in cluster.said("SuccessfulCreate")
        assert "Saw completed job: tick-28333335, condition: Complete" in cluster.said("SawCompletedJob")
        assert "Deleted job tick-28333335" in cluster.said("SuccessfulDelete")

    run(main())


@pytest.mark.parametrize(
    ("policy", "active"),
    [
        pytest.param("Allow", ["tick-28333335", "tick-28333340"], id="beside each other"),
        pytest.param("Forbid", ["tick-28333335"], id="the first one only"),
        pytest.param("Replace", ["tick-28333340"], id="the last one only"),
    ],
)
def test_what_becomes_of_one_that_still_runs(policy, active):
    async def main():
        cluster = Cluster(runs_s=480)
        await cluster.start(concurrencyPolicy=policy)
        await cluster.settle(500)  # it is 22:21:40
        assert cluster.names() == active
        assert [ref["name"] for ref in cluster.crons.get(TICK).status["active"]] == active
        assert bool(cluster.said("JobAlreadyActive")) == (policy == "Forbid")
        await cluster.settle(100)  # the first is over at 22:23: one that had to wait comes now
        assert "tick-28333340" in cluster.names()

    run(main())


def test_after_very_many_missed_moments_the_last_one_counts_and_it_is_told():
    async def main():
        cluster = Cluster()
        await cluster.start(suspend=True)
        await cluster.settle(101 * 300 + 100)
        await cluster.crons.change(TICK, lambda cron: cron.with_spec(suspend=False))
        await cluster.settle(10)
        assert len(cluster.names()) == 1
        assert [text.partition(".")[0] for text in cluster.said("TooManyMissedTimes")] == [
            "too many missed start times"
        ]

    run(main())


def test_while_suspended_it_is_told_what_ends():
    async def main():
        cluster = Cluster(runs_s=30)
        await cluster.start()
        await cluster.settle(110)  # it is 22:15:10
        assert len(cluster.crons.get(TICK).status["active"]) == 1
        await cluster.crons.change(TICK, lambda cron: cron.with_spec(suspend=True))
        await cluster.settle(60)
        status = cluster.crons.get(TICK).status
        assert ("active" in status, status["lastSuccessfulTime"]) == (False, "2023-11-14T22:15:30Z")

    run(main())


def test_while_suspended_nothing_is_made():
    async def main():
        cluster = Cluster()
        await cluster.start(suspend=True, startingDeadlineSeconds=10)
        await cluster.settle(1100)  # it is 22:31:40
        assert cluster.names() == []
        await cluster.crons.change(TICK, lambda cron: cron.with_spec(suspend=False))
        await cluster.settle(10)
        assert cluster.names() == []  # what was missed is too old
        await cluster.settle(300)
        assert len(cluster.names()) == 1

    run(main())


def test_what_others_write_into_its_status_does_no_harm():
    async def main():
        cluster = Cluster()
        await cluster.start()
        await cluster.crons.change(TICK, lambda cron: cron.with_status(active=[{}]), part="status")
        await cluster.settle(110)
        assert cluster.names() == ["tick-28333335"]

    run(main())


def test_a_schedule_that_never_comes_is_told_of():
    async def main():
        cluster = Cluster()
        await cluster.start(schedule="59 23 31 2 *")
        await cluster.settle(600)
        assert (cluster.names(), cluster.said("InvalidSchedule")) == (
            [],
            ["invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second"],
        )

    run(main())


def test_where_a_time_zone_is_unknown_nothing_is_made(monkeypatch):
    async def main():
        cluster = Cluster()
        await cluster.start(timeZone="Europe/Berlin")
        monkeypatch.setattr(cronjobs, "ZoneInfo", unknown)
        await cluster.settle(600)
        assert cluster.names() == []
        (said,) = cluster.said("UnknownTimeZone")
        assert said == 'invalid timeZone: "Europe/Berlin": unknown time zone Europe/Berlin'

    def unknown(zone):
        raise ZoneInfoNotFoundError(zone)

    run(main())


def test_jobs_of_others_and_by_hand():
    async def main():
        cluster = Cluster()
        await cluster.start()
        owner = cluster.crons.get(TICK)
        await cluster.jobs.create(a_job("by-hand").with_meta(owners=(owner.as_owner(),)))
        await cluster.settle(10)
        assert cluster.names() == ["by-hand"]
        assert cluster.said("UnexpectedJob") == ["Saw a job that the controller did not create or forgot: by-hand"]
        assert cluster.crons.get(TICK).status["lastSuccessfulTime"] == "2023-11-14T22:13:21Z"

    run(main())


@pytest.mark.parametrize(
    ("ours", "ended", "active"),
    [
        pytest.param(True, False, ["tick-28333335"], id="made before, and not written down"),
        pytest.param(True, True, [], id="made before, and over"),
        pytest.param(False, False, [], id="somebody else's"),
    ],
)
def test_a_job_of_the_name_is_there(ours, ended, active):
    async def main():
        cluster = Cluster(runs_s=480)
        await cluster.start()
        owners = (cluster.crons.get(TICK).as_owner(),) if ours else ()
        there = await cluster.jobs.create(a_job("tick-28333335").with_meta(owners=owners))
        if ended:
            over = {"type": "Complete", "status": "True"}
            met = {"type": "SuccessCriteriaMet", "status": "True"}
            done = {
                "conditions": [met, over],
                "completionTime": "2023-11-14T22:13:21Z",
                "startTime": "2023-11-14T22:13:20Z",
            }
            await cluster.jobs.change(there.key, lambda job: job.with_status(**done), "status")
        await cluster.settle(120)  # it is 22:15:20
        status = cluster.crons.get(TICK).status
        assert cluster.names() == ["tick-28333335"]
        assert [ref["name"] for ref in status.get("active", ())] == active
        assert status["lastScheduleTime"] == "2023-11-14T22:15:00Z"

    run(main())


def test_one_that_goes_makes_nothing():
    async def main():
        cluster = Cluster()
        await cluster.start()
        await cluster.crons.change(TICK, lambda cron: cron.with_meta(finalizers=("example.com/hold",)))
        await cluster.crons.delete(TICK)
        await cluster.settle(600)
        assert cluster.names() == []

    run(main())
