"""ReplicationControllers: as many pods as asked for, whatever happens to them."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coracle.core.errors import Unavailable
from coracle.core.object import Key, Meta, Object, Owner
from coracle.core.store import MemoryStore, Put
from coracle.kube.controllers import replication
from coracle.kube.controllers.replication import Failure, Plan, Replication, conditions, count, plan
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod, a_workload, an_rc, place

NOW_S = 1_700_000_000.0
BEFORE = "2023-11-14T20:00:00Z"
JUST_NOW = "2023-11-14T22:13:00Z"


def a_present_pod(name, *, created=BEFORE, ready=False, phase="Running", deleting="", annotations=None, node="n1"):
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": created}]
    meta = Meta(name=name, created=created, deleting=deleting, annotations=annotations or {})
    return Object("Pod", meta, {"spec": {"nodeName": node}, "status": {"phase": phase, "conditions": conditions}})


OLD, NEW = a_present_pod("old", ready=True), a_present_pod("new", created=JUST_NOW, ready=True)
OLD_TOO = a_present_pod("old-too", ready=True)
UNREADY, UNPLACED = a_present_pod("unready"), a_present_pod("unplaced", phase="Pending", node="")
PENDING = a_present_pod("pending", phase="Pending")
CHEAP = a_present_pod("cheap", ready=True, annotations={"controller.kubernetes.io/pod-deletion-cost": "-5"})
ENDED, GOING = a_present_pod("ended", phase="Failed"), a_present_pod("going", ready=True, deleting=JUST_NOW)
LONELY = a_present_pod("a-lonely-one", ready=True, node="n2")


@pytest.mark.parametrize(
    ("asked", "present", "expected"),
    [
        pytest.param(3, [], Plan(make=3), id="makes what is missing"),
        pytest.param(1, [OLD], Plan(), id="leaves enough alone"),
        pytest.param(1, [OLD, NEW], Plan(remove=(NEW.key,)), id="removes the newest first"),
        pytest.param(1, [NEW, UNREADY], Plan(remove=(UNREADY.key,)), id="removes the unready before the newest"),
        pytest.param(1, [UNREADY, PENDING], Plan(remove=(PENDING.key,)), id="removes the pending before the unready"),
        pytest.param(1, [PENDING, UNPLACED], Plan(remove=(UNPLACED.key,)), id="removes the unscheduled first of all"),
        pytest.param(1, [UNREADY, CHEAP], Plan(remove=(UNREADY.key,)), id="removes the unready before the cheap"),
        pytest.param(1, [NEW, CHEAP], Plan(remove=(CHEAP.key,)), id="removes the cheap before the new"),
        pytest.param(2, [LONELY, OLD, CHEAP], Plan(remove=(CHEAP.key,)), id="cost goes before crowding"),
        pytest.param(2, [LONELY, OLD, OLD_TOO], Plan(remove=(OLD.key,)), id="removes where it is crowded"),
        pytest.param(1, [ENDED], Plan(make=1), id="does not count an ended pod"),
        pytest.param(1, [GOING], Plan(make=1), id="does not count a pod on its way out"),
        pytest.param(900, [], Plan(make=500), id="makes at most a burst at once"),
        pytest.param(0, [OLD], Plan(remove=(OLD.key,)), id="zero means none"),
    ],
)  # fmt: skip
def test_plan(asked, present, expected):
    assert plan(an_rc(asked), present, NOW_S) == expected


def test_a_controller_on_its_way_out_makes_and_removes_nothing():
    assert plan(an_rc(3).with_meta(deleting=BEFORE), [], NOW_S) == Plan()


FAULT = Failure("FailedCreate", Unavailable("no room"))
FAILED = {
    "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no room",
    "lastTransitionTime": BEFORE,
}  # fmt: skip
OTHER = {"type": "Other", "status": "True"}


@pytest.mark.parametrize(
    ("present", "failure", "expected"),
    [
        pytest.param([], None, [], id="all is well"),
        pytest.param([OTHER], FAULT, [OTHER, FAILED], id="it is told beside others"),
        pytest.param(
            [{**FAILED, "message": "first"}], FAULT, [{**FAILED, "message": "first"}], id="the first one stays"
        ),
        pytest.param([FAILED, OTHER], None, [OTHER], id="until all is well again"),
    ],
)
def test_failures_are_told(present, failure, expected):
    assert conditions(present, failure, BEFORE) == expected


def test_count_tells_ready_and_available_apart():
    rc = an_rc(2, minReadySeconds=60)
    counted = count(rc, [OLD.with_meta(labels={"app": "web"}), NEW, UNREADY, ENDED], NOW_S)
    assert counted == {
        "replicas": 3,
        "fullyLabeledReplicas": 1,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "observedGeneration": 0,
    }


class Cluster(Stage):
    def __init__(self, store=None):
        super().__init__(replication.INDEXES, store=store)
        self.rcs, self.sets, self.pods = self["ReplicationController"], self["ReplicaSet"], self["Pod"]
        for sort in (replication.CONTROLLERS, replication.SETS):
            self.run(Replication(sort, self.means))

    def alive(self):
        return [pod for pod in self.pods.list() if not pod.meta.deleting]


WEB = Key("default", "web")


def test_pods_are_made_once_however_often_the_loop_runs():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.rcs.create(an_rc(3))
        await cluster.settle(60)
        pods = cluster.pods.list()
        assert len(pods) == 3
        assert all(pod.meta.name.startswith("web-") and pod.meta.labels == {"app": "web"} for pod in pods)
        assert all(pod.meta.controller.name == "web" and pod.meta.controller.block_deletion for pod in pods)
        assert cluster.rcs.get(WEB).status == {"replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1}
        assert sorted(cluster.said("SuccessfulCreate")) == sorted(f"Created pod: {pod.meta.name}" for pod in pods)

    run(main())


def test_scaling_down_and_up():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.rcs.create(an_rc(4))
        await cluster.settle(5)
        await cluster.rcs.change(WEB, lambda rc: rc.with_spec(replicas=2))
        await cluster.settle(5)
        assert len(cluster.alive()) == 2
        assert len(cluster.said("SuccessfulDelete")) == 2
        await cluster.rcs.change(WEB, lambda rc: rc.with_spec(replicas=5))
        await cluster.settle(5)
        assert len(cluster.alive()) == 5
        assert cluster.rcs.get(WEB).status["observedGeneration"] == 3

    run(main())


def test_readiness_is_told():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.rcs.create(an_rc(2))
        await cluster.settle(1)
        await place(cluster, cluster.pods.list()[0].key)
        await cluster.settle(1)
        status = cluster.rcs.get(WEB).status
        assert (status["readyReplicas"], status["availableReplicas"]) == (1, 1)

    run(main())


def test_available_comes_after_the_time_asked_for():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.rcs.create(an_rc(1, minReadySeconds=100))
        await cluster.settle(1)
        await place(cluster, cluster.pods.list()[0].key)
        await cluster.settle(50)
        assert "availableReplicas" not in cluster.rcs.get(WEB).status
        await cluster.settle(100)
        assert cluster.rcs.get(WEB).status["availableReplicas"] == 1

    run(main())


def test_an_orphan_that_fits_is_adopted_and_counts():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.pods.create(a_pod("stray"))
        await cluster.rcs.create(an_rc(2))
        await cluster.settle(5)
        assert len(cluster.pods.list()) == 2
        assert cluster.pods.get(Key("default", "stray")).meta.controller.name == "web"

    run(main())


def test_an_orphan_that_has_ended_is_left_where_it_is():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        stray = await cluster.pods.create(a_pod("stray"))
        await cluster.pods.change(stray.key, lambda pod: pod.with_status(phase="Failed"), part="status")
        await cluster.rcs.create(an_rc(1))
        await cluster.settle(5)
        assert cluster.pods.get(stray.key).meta.owners == ()

    run(main())


def test_an_orphan_that_comes_later_is_adopted_and_one_too_many_is_removed():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.rcs.create(an_rc(2))
        await cluster.settle(5)
        await cluster.pods.create(a_pod("stray"))
        await cluster.settle(5)
        assert len(cluster.pods.list()) == 2

    run(main())


def test_a_pod_whose_labels_change_is_released_and_replaced():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.rcs.create(an_rc(2))
        await cluster.settle(5)
        lost = cluster.pods.list()[0].key
        await cluster.pods.change(lost, lambda pod: pod.with_meta(labels={"app": "debug"}))
        await cluster.settle(5)
        assert cluster.pods.get(lost).meta.owners == ()
        assert len(cluster.pods.list()) == 3

    run(main())


def test_pods_of_another_controller_are_left_alone():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        other = Owner("apps/v1", "ReplicaSet", "other", "u-other")
        await cluster.pods.create(a_pod("theirs").with_meta(owners=(other,)))
        await cluster.rcs.create(an_rc(1))
        await cluster.settle(5)
        assert len(cluster.pods.list()) == 2
        assert cluster.pods.get(Key("default", "theirs")).meta.controller == other

    run(main())


def test_a_replica_set_selects_by_expressions_and_tells_who_is_on_the_way_out():
    needs = [{"key": "app", "operator": "In", "values": ["web", "www"]}, {"key": "old", "operator": "DoesNotExist"}]

    async def main():
        cluster = Cluster()
        await cluster.rooms()
        for name, labels in (("stray", {"app": "www"}), ("aged", {"app": "web", "old": "yes"})):
            await cluster.pods.create(a_pod(name, labels))
        await cluster.sets.create(a_workload("ReplicaSet", replicas=3, selector={"matchExpressions": needs}))
        await cluster.settle(5)
        mine = [pod for pod in cluster.pods.list() if pod.meta.controller]
        assert len(mine) == 3
        assert "stray" in {pod.meta.name for pod in mine}
        assert all(pod.meta.controller.api == "apps/v1" for pod in mine)
        status = cluster.sets.get(WEB).status
        assert (status["replicas"], status["fullyLabeledReplicas"], status["terminatingReplicas"]) == (3, 2, 0)
        await place(cluster, mine[0].key)
        await cluster.pods.delete(mine[0].key)
        await cluster.settle(5)
        status = cluster.sets.get(WEB).status
        assert (status["replicas"], status["terminatingReplicas"]) == (3, 1)

    run(main())


def test_two_controllers_do_not_fight_over_an_orphan():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.pods.create(a_pod("stray"))
        await cluster.sets.create(a_workload("ReplicaSet", replicas=1))
        await cluster.rcs.create(an_rc(1))
        await cluster.settle(60)
        assert len(cluster.pods.list()) == 2
        assert {pod.meta.controller.kind for pod in cluster.pods.list()} == {"ReplicaSet", "ReplicationController"}

    run(main())


class FullStore(MemoryStore):
    """A store with no room for pods; remembers when it was asked."""

    def __init__(self, clock_s):
        super().__init__()
        self.asked_at_s, self._clock_s = [], clock_s

    async def commit(self, *changes):
        if any(isinstance(change, Put) and change.obj.kind == "Pod" for change in changes):
            self.asked_at_s.append(self._clock_s())
            raise Unavailable("no room")
        return await super().commit(*changes)


def test_a_full_store_is_asked_again_after_growing_delays_and_once_each_time():
    async def main():
        cluster = Cluster(FullStore(lambda: asyncio.get_running_loop().time()))
        await cluster.rooms()
        await cluster.rcs.create(an_rc(100))
        await cluster.settle(1)
        asked_at_s = cluster.store.asked_at_s
        assert len(asked_at_s) < 12  # not a hundred at once, and ever more rarely
        assert [round(after - before, 2) for before, after in pairwise(asked_at_s)][-3:] == [0.08, 0.16, 0.32]
        (condition,) = cluster.rcs.get(WEB).status["conditions"]
        assert condition["type"] == "ReplicaFailure"
        assert condition["reason"] == "FailedCreate"
        assert cluster.said("FailedCreate") == ["Error creating: no room"]

    run(main())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 6), st.lists(st.sampled_from(["delete", "fail", "relabel", "scale"]), max_size=8), st.integers())
def test_whatever_happens_to_the_pods_there_are_as_many_as_asked_for(replicas, blows, seed):
    async def main():
        chance, asked = random.Random(seed), replicas
        cluster = Cluster()
        await cluster.rooms()
        await cluster.rcs.create(an_rc(replicas))
        await cluster.settle(1)
        for blow in blows:
            victims = [pod.key for pod in cluster.pods.list() if pod.meta.owners and pod.status["phase"] == "Pending"]
            if blow == "scale":
                asked = chance.randint(0, 6)
                await cluster.rcs.change(WEB, lambda rc: rc.with_spec(replicas=asked))  # noqa: B023
            elif victims:
                await strike(cluster, chance.choice(victims), blow)
            await cluster.settle(chance.choice([0.0005, 1]))
        await cluster.settle(120)
        mine = [pod for pod in cluster.alive() if pod.meta.owners and pod.status["phase"] != "Failed"]
        assert len(mine) == asked
        assert cluster.rcs.get(WEB).status["replicas"] == asked

    run(main())


async def strike(cluster, key, blow):
    if blow == "delete":
        await cluster.pods.delete(key)
    elif blow == "fail":
        await cluster.pods.change(key, lambda pod: pod.with_status(phase="Failed"), part="status")
    else:
        await cluster.pods.change(key, lambda pod: pod.with_meta(labels={"app": "debug"}))
