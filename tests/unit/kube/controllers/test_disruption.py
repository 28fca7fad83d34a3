"""How many pods a budget lets go."""

from __future__ import annotations

import pytest

from coracle.core.clock import rfc3339
from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import replication
from coracle.kube.controllers.disruption import Budgets, Count, plan
from coracle.kube.controllers.ownership import OF_DEPENDENTS
from coracle.kube.controllers.replication import Replication
from coracle.kube.kinds import poddisruptionbudget as budgets
from coracle.kube.kinds.conditions import condition
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_pod, a_workload


def a_budget(**spec):
    spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    return Object("PodDisruptionBudget", Meta(name="guard", namespace="default"), {"spec": spec}, budgets.API)


def a_daemon(name):
    return a_pod(name).with_meta(owners=(a_workload("DaemonSet").with_meta(uid="u1").as_owner(),))


async def a_counting_stage():
    stage = Stage({"Pod": OF_DEPENDENTS})
    stage.run(Budgets(stage.caches, stage["PodDisruptionBudget"], stage.recorder, stage.clock))
    await stage.rooms()
    return stage


def some(ready, unready=0):
    pods = [a_pod(f"p{number}") for number in range(ready + unready)]
    ready_now = {"conditions": [{"type": "Ready", "status": "True"}]}
    return [pod.with_body(status=ready_now) if number < ready else pod for number, pod in enumerate(pods)]


@pytest.mark.parametrize(
    ("spec", "members", "wanted", "expected"),
    [
        pytest.param({"minAvailable": 2}, some(3), 3, (3, 2, 3, 1), id="one more than needed"),
        pytest.param({"minAvailable": 2}, some(2), 2, (2, 2, 2, 0), id="just enough"),
        pytest.param({"minAvailable": 2}, some(1, 2), 3, (3, 2, 1, 0), id="too few"),
        pytest.param({"minAvailable": "50%"}, some(3), 3, (3, 2, 3, 1), id="half, rounded up"),
        pytest.param({"maxUnavailable": 1}, some(3), 3, (3, 2, 3, 1), id="all but one"),
        pytest.param({"maxUnavailable": 1}, some(2), 3, (3, 2, 2, 0), id="one is away already"),
        pytest.param({"maxUnavailable": "30%"}, some(4), 4, (4, 2, 4, 2), id="a share, rounded up"),
        pytest.param({"maxUnavailable": 5}, some(2), 2, (2, 0, 2, 2), id="all may go"),
        pytest.param({"minAvailable": 0}, [], 0, (0, 0, 0, 0), id="nobody there"),
        pytest.param({"minAvailable": 1}, some(3), 7, (3, 1, 3, 2), id="of those that are there, not of those wanted"),
        pytest.param({"maxUnavailable": "100%"}, some(2), 3, (3, 0, 2, 2), id="a share that is all"),
        pytest.param({}, some(2), 2, (2, 0, 2, 2), id="no demand"),
        pytest.param({"maxUnavailable": 1}, some(2), 0, (0, 0, 2, 0), id="nobody wants any"),
    ],
)  # fmt: skip
def test_counts(spec, members, wanted, expected):
    found = plan(a_budget(**spec), members, {"uid": wanted}, ())
    assert (found.expected, found.desired, found.healthy, found.allowed) == expected


def test_what_cannot_be_counted_lets_nobody_go():
    assert Count(2, 1, 2).allowed == 1
    assert Count(2, 1, 2, fault="nobody knows").allowed == 0


def test_one_that_was_evicted_just_now_does_not_count():
    assert plan(a_budget(minAvailable=2), some(3), {}, ["p0"]).allowed == 0


def test_a_budget_follows_its_pods():
    async def main():
        stage = Stage(replication.INDEXES)
        stage.run(Replication(replication.SETS, stage.means))
        stage.run(Budgets(stage.caches, stage["PodDisruptionBudget"], stage.recorder, stage.clock))
        stage.run(Kubelet(stage))
        await stage.rooms()
        await stage["ReplicaSet"].create(a_workload("ReplicaSet", replicas=3))
        await stage["PodDisruptionBudget"].create(a_budget(maxUnavailable=1))
        await stage.settle(5)
        status = stage["PodDisruptionBudget"].get(Key("default", "guard")).status
        numbers = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed", "observedGeneration")
        assert [status[name] for name in numbers] == [3, 2, 3, 1, 1]
        assert status["conditions"][0]["reason"] == "SufficientPods"
        await stage["ReplicaSet"].change(Key("default", "web"), lambda one: one.with_spec(replicas=1))
        await stage.settle(5)
        status = stage["PodDisruptionBudget"].get(Key("default", "guard")).status
        assert [status[name] for name in numbers] == [1, 0, 1, 1, 1]

    run(main())


def test_pods_of_something_without_a_number_cannot_be_counted():
    async def main():
        stage = await a_counting_stage()
        await stage["Pod"].create(a_daemon("one"))
        await stage["PodDisruptionBudget"].create(a_budget(maxUnavailable=1))
        await stage.settle(5)
        budget = stage["PodDisruptionBudget"].get(Key("default", "guard"))
        said = condition(budget, "DisruptionAllowed")
        assert (said["reason"], said["message"]) == (
            "SyncFailed",
            "daemonsets.apps does not implement the scale subresource",
        )
        assert stage.said("CalculateExpectedPodCountFailed") == [
            "Failed to calculate the number of expected pods: daemonsets.apps does not implement the scale subresource"
        ]

    run(main())


def test_what_makes_a_count_worth_a_look_is_told():
    async def main():
        stage = await a_counting_stage()
        await stage["PodDisruptionBudget"].create(a_budget(minAvailable="50%"))
        await stage.settle(1)
        assert stage.said("NoPods") == ["No matching pods found"]
        assert not stage.said("UnmanagedPods")
        await stage["Pod"].create(a_pod("one"))
        await stage.settle(1)
        assert "(selector: app=web) were found to be unmanaged" in stage.said("UnmanagedPods")[0]

    run(main())


def test_pods_of_any_maker_count_where_a_number_must_be_there():
    async def main():
        stage = await a_counting_stage()
        await stage["Pod"].create(a_daemon("one"))
        await stage["Pod"].create(a_pod("two"))
        await stage["PodDisruptionBudget"].create(a_budget(minAvailable=1))
        await stage.settle(1)
        assert stage["PodDisruptionBudget"].get(Key("default", "guard")).status["expectedPods"] == 2
        assert not stage.said("UnmanagedPods")
        assert not stage.said("CalculateExpectedPodCountFailed")

    run(main())


def test_an_evicted_pod_that_stays_is_forgotten_and_told():
    async def main():
        stage = await a_counting_stage()
        await stage["Pod"].create(a_pod("one"))
        budget = await stage["PodDisruptionBudget"].create(a_budget(minAvailable=0))
        noted = {"one": rfc3339(stage.clock.now_s()), "gone": rfc3339(stage.clock.now_s())}
        await stage["PodDisruptionBudget"].change(
            budget.key, lambda one: one.with_status(disruptedPods=noted), "status"
        )
        await stage.settle(100)
        assert list(stage["PodDisruptionBudget"].get(budget.key).status["disruptedPods"]) == ["one"]
        await stage.settle(30)
        assert "disruptedPods" not in stage["PodDisruptionBudget"].get(budget.key).status
        assert stage.said("NotDeleted") == ["Pod was expected by PDB default/guard to be deleted but it wasn't"]

    run(main())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"minAvailable": 1, "maxUnavailable": 1}, "minAvailable and maxUnavailable cannot be both set"),
        ({"minAvailable": "120%"}, "must not be greater than 100%"),
        ({"maxUnavailable": -1}, "must be greater than or equal to 0"),
        ({"unhealthyPodEvictionPolicy": "Maybe"}, "Unsupported value"),
    ],
)
def test_budgets_that_make_no_sense(spec, said):
    assert any(said in problem.text for problem in budgets.validate(budgets.default(a_budget(**spec))))
