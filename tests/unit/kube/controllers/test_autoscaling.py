"""Autoscalers over a real control plane on virtual time: what they do, and what they say."""

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import replication
from coracle.kube.controllers.autoscaling.loop import Autoscalers
from coracle.kube.kinds.metrics import Amounts, Measurement
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_workload
from coracle.testing.metering import NoMeter

KEY = Key("default", "web")
REF = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"}


class Load(NoMeter):
    """`total_milli` of a processor, shared by the pods that there are."""

    def __init__(self):
        self.total_milli, self.asked = 0, 0

    async def pods(self, pods):
        self.asked += 1
        running = [pod for pod in pods if pod.status.get("phase") == "Running"]
        return {
            pod.meta.uid: Measurement(2e9, 15, {"www": Amounts(self.total_milli * 10**6 // len(running), 0)})
            for pod in running
        }


class Town:
    def __init__(self, **spec):
        self.stage, self.load = Stage(replication.INDEXES), Load()
        stage = self.stage
        stage.run(replication.Replication(replication.SETS, stage.means))
        stage.run(Kubelet(stage))
        stage.run(Autoscalers(stage.caches, stage.collections, self.load, stage.recorder, stage.clock))
        self.spec = {"scaleTargetRef": REF, "maxReplicas": 5, **spec}

    async def begin(self, for_s, *, milli=0, replicas=1, request="100m"):
        """With so much to do, and what comes of it in the first `for_s`."""
        self.load.total_milli = milli
        await self.stage.rooms()
        made = a_workload("ReplicaSet", replicas=replicas)
        template = made.spec["template"]
        if request:
            template["spec"]["containers"][0]["resources"] = {"requests": {"cpu": request}}
        await self.stage["ReplicaSet"].create(made)
        body = {"spec": self.spec}
        await self.stage["HorizontalPodAutoscaler"].create(
            Object("HorizontalPodAutoscaler", Meta("web", "default"), body, "autoscaling/v2")
        )
        await self.stage.settle(for_s)

    @property
    def replicas(self):
        return self.stage["ReplicaSet"].get(KEY).spec["replicas"]

    @property
    def status(self):
        return self.stage["HorizontalPodAutoscaler"].get(KEY).status

    @property
    def conditions(self):
        return {one["type"]: (one["status"], one["reason"]) for one in self.status["conditions"]}


def cpu(percent):
    target = {"type": "Utilization", "averageUtilization": percent}
    return [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def test_up_with_the_load_and_down_five_minutes_after_it():
    async def scene():
        town = Town(metrics=cpu(50))
        await town.begin(60, milli=150)
        assert town.replicas == 3
        assert town.status["currentReplicas"] == town.status["desiredReplicas"] == 3
        assert town.status["currentMetrics"][0]["resource"]["current"] == {
            "averageUtilization": 50, "averageValue": "50m",
        }  # fmt: skip
        assert town.status["lastScaleTime"]
        said = "New size: 3; reason: cpu resource utilization (percentage of request) above target"
        assert town.stage.said("SuccessfulRescale") == [said]
        town.load.total_milli = 10
        await town.stage.settle(200)
        assert town.replicas == 3
        assert town.conditions["AbleToScale"] == ("True", "ScaleDownStabilized")
        await town.stage.settle(200)
        assert town.replicas == 1
        assert "New size: 1; reason: All metrics below target" in town.stage.said("SuccessfulRescale")
        assert town.conditions == {
            "AbleToScale": ("True", "ReadyForNewScale"),
            "ScalingActive": ("True", "ValidMetricFound"),
            "ScalingLimited": ("False", "DesiredWithinRange"),
        }

    run(scene())


@pytest.mark.parametrize(
    ("replicas", "expected", "why"),
    [
        (9, 5, "Current number of replicas above Spec.MaxReplicas"),
        (1, 2, "Current number of replicas below Spec.MinReplicas"),
    ],
)
def test_bounds_need_no_metric(replicas, expected, why):
    async def scene():
        town = Town(metrics=cpu(50), minReplicas=2)
        await town.begin(10, replicas=replicas, milli=50 * expected)
        assert town.replicas == expected
        assert town.stage.said("SuccessfulRescale") == [f"New size: {expected}; reason: {why}"]

    run(scene())


def test_what_was_scaled_to_nothing_stays_so():
    async def scene():
        town = Town(metrics=cpu(50))
        await town.begin(20, replicas=0)
        assert town.replicas == 0
        assert town.conditions["ScalingActive"] == ("False", "ScalingDisabled")

    run(scene())


@pytest.mark.parametrize(
    ("metric", "request_", "reason", "name", "said"),
    [
        (cpu(50)[0], "", "FailedGetResourceMetric", "cpu resource",
         "failed to get cpu utilization: missing request for cpu in container www of Pod web-"),
        ({"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "5"}}},
         "100m", "FailedGetPodsMetric", "pods", "unable to get metric hits: unable to fetch metrics from custom metrics API"),
        ({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "5"}}},
         "100m", "FailedGetExternalMetric", "queue external",
         "unable to get external metric default/queue/nil: unable to fetch metrics from external"),
    ],
    ids=["nothing requested", "of other sources", "from elsewhere"],
)  # fmt: skip
def test_metrics_that_say_nothing(metric, request_, reason, name, said):
    async def scene():
        town = Town(metrics=[metric])
        await town.begin(10, request=request_, milli=500)
        assert town.replicas == 1
        assert town.conditions["ScalingActive"] == ("False", reason)
        assert any(said in one for one in town.stage.said(reason))
        first = f"invalid metrics (1 invalid out of 1), first error is: failed to get {name} metric value: "
        assert any(one.startswith(first) for one in town.stage.said("FailedComputeMetricsReplicas"))

    run(scene())


def test_a_metric_that_says_nothing_does_not_keep_others_from_asking_for_more():
    async def scene():
        pods = {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "5"}}
        town = Town(metrics=[{"type": "Pods", "pods": pods}, *cpu(50)])
        await town.begin(60, milli=100)
        assert town.replicas == 2
        assert [one["type"] for one in town.status["currentMetrics"]] == ["", "Resource"]
        town.load.total_milli = 10
        await town.stage.settle(600)
        assert town.replicas == 2
        assert town.conditions["ScalingActive"] == ("False", "FailedGetPodsMetric")

    run(scene())


def test_two_that_count_the_same_pods_do_nothing_and_say_so():
    async def scene():
        town = Town(metrics=cpu(50))
        await town.begin(10, milli=500)
        town.load.total_milli = 1500
        other = town.stage["HorizontalPodAutoscaler"].get(KEY)
        body = {"spec": {**other.spec, "maxReplicas": 20}}
        await town.stage["HorizontalPodAutoscaler"].create(
            Object(other.kind, Meta("other", "default"), body, other.api)
        )
        await town.stage.settle(60)
        assert town.conditions["ScalingActive"] == ("False", "AmbiguousSelector")
        said = town.stage.said("AmbiguousSelector")
        assert said[0].endswith(f"are controlled by multiple HPAs: [default/other default/{KEY.name}]")
        assert said[0] in town.stage.said("FailedComputeMetricsReplicas")

    run(scene())


def test_of_several_metrics_the_one_that_asks_for_most():
    async def scene():
        target = {"type": "AverageValue", "averageValue": "20m"}
        town = Town(metrics=[*cpu(50), {"type": "Resource", "resource": {"name": "cpu", "target": target}}])
        await town.begin(60, milli=80)
        assert town.replicas == 4
        assert "New size: 4; reason: cpu resource above target" in town.stage.said("SuccessfulRescale")

    run(scene())


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ({**REF, "name": "none"}, 'replicasets.apps "none" not found'),
        ({**REF, "kind": "Windmill"}, 'no matches for kind "Windmill" in group "apps"'),
        ({"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}, 'configmaps "x" not found'),
    ],
)
def test_targets_that_are_none(ref, said):
    async def scene():
        town = Town(scaleTargetRef=ref, metrics=cpu(50))
        await town.begin(10)
        assert town.conditions["AbleToScale"] == ("False", "FailedGetScale")
        assert town.stage.said("FailedGetScale") == [said]

    run(scene())


def test_looks_every_fifteen_seconds_and_only_while_there_is_one():
    async def scene():
        town = Town(metrics=cpu(50))
        await town.begin(150, milli=50)
        assert 10 <= town.load.asked <= 12
        await town.stage["HorizontalPodAutoscaler"].delete(KEY)
        await town.stage.settle(1)
        asked = town.load.asked
        await town.stage.settle(600)
        assert town.load.asked == asked

    run(scene())
