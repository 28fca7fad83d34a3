"""Deployments on virtual time: with ReplicaSets' loop, and a kubelet that starts and stops what it is asked to."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coracle.core.object import Key
from coracle.kube.controllers import replication, workloads
from coracle.kube.controllers.deployments.loop import Deployments
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_pod, a_workload

WEB = Key("default", "web")
REVISION = "deployment.kubernetes.io/revision"


class Cluster(Stage):
    """What is active and ready is looked at with every change of a pod: `most`, `fewest` and `mixed` remember."""

    def __init__(self, **kubelet):
        super().__init__(workloads.INDEXES)
        self.deployments, self.sets, self.pods = self["Deployment"], self["ReplicaSet"], self["Pod"]
        self.run(replication.Replication(replication.SETS, self.means))
        self.run(Deployments(self.means))
        self.run(Kubelet(self, **kubelet))
        self.caches["Pod"].listen(lambda _event: self._look())
        self.most, self.fewest, self.mixed = 0, 1000, False

    def _look(self):
        there = [pod for pod in self.caches["Pod"].list() if pod.status.get("phase") != "Failed"]
        active = [pod for pod in there if not pod.meta.deleting]
        ready = [pod for pod in active if is_ready(pod)]
        self.most, self.fewest = max(self.most, len(active)), min(self.fewest, len(ready))
        self.mixed = self.mixed or len({pod.meta.labels.get("pod-template-hash") for pod in there}) > 1

    async def full(self, replicas=4, **spec):
        """A Deployment with all its pods ready; looking begins now."""
        await self.rooms()
        await self.deployments.create(a_workload("Deployment", replicas=replicas, **spec))
        await self.settle(30)
        self.most, self.fewest, self.mixed = 0, 1000, False

    async def change(self, **spec):
        return await self.deployments.change(WEB, lambda deployment: deployment.with_spec(**spec))

    async def set_image(self, image):
        def changed(deployment):
            template = deployment.spec["template"]
            container = {**template["spec"]["containers"][0], "image": image}
            return deployment.with_spec(template={**template, "spec": {**template["spec"], "containers": [container]}})

        await self.deployments.change(WEB, changed)

    @property
    def status(self):
        return self.deployments.get(WEB).status

    def condition(self, type):
        return next((c for c in self.status.get("conditions", ()) if c["type"] == type), {})

    def images(self):
        return sorted(p.spec["containers"][0]["image"] for p in self.pods.list() if not p.meta.deleting)


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.status.get("conditions", ()))


def rolling(surge, unavailable):
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_a_new_deployment():
    async def main():
        cluster = Cluster(ready_after_s=2)
        await cluster.full(3)
        (rs,) = cluster.sets.list()
        assert cluster.said("ScalingReplicaSet") == [f"Scaled up replica set {rs.meta.name} from 0 to 3"]
        assert {name: value for name, value in cluster.status.items() if name != "conditions"} == {
            "observedGeneration": 1,
            "replicas": 3,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "terminatingReplicas": 0,
        }
        said = [(c["type"], c["status"], c["reason"]) for c in cluster.status["conditions"]]
        assert said == [
            ("Available", "True", "MinimumReplicasAvailable"),
            ("Progressing", "True", "NewReplicaSetAvailable"),
        ]
        assert cluster.deployments.get(WEB).meta.annotations == {REVISION: "1"}
        assert rs.meta.annotations == {
            REVISION: "1",
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
        }

    run(main())


@pytest.mark.parametrize(
    ("strategy", "most", "fewest"),
    [
        pytest.param(rolling("25%", "25%"), 5, 3, id="a quarter more, a quarter fewer"),
        pytest.param(rolling(1, 0), 5, 4, id="never fewer"),
        pytest.param(rolling(0, 1), 4, 3, id="never more"),
        pytest.param(rolling("100%", 0), 8, 4, id="all at once"),
        pytest.param({"type": "Recreate"}, 4, 0, id="recreated"),
    ],
)
def test_an_update_keeps_within_its_bounds(strategy, most, fewest):
    async def main():
        cluster = Cluster(ready_after_s=3, stop_s=2)
        await cluster.full(4, strategy=strategy)
        await cluster.set_image("nginx:2")
        await cluster.settle(120)
        assert cluster.images() == ["nginx:2"] * 4
        assert (cluster.most, cluster.fewest) == (most, fewest)
        assert cluster.mixed == (strategy["type"] != "Recreate")
        assert cluster.condition("Progressing")["reason"] == "NewReplicaSetAvailable"
        assert cluster.deployments.get(WEB).meta.annotations[REVISION] == "2"

    run(main())


def test_going_back_uses_the_old_set_and_numbers_it_anew():
    async def main():
        cluster = Cluster()
        await cluster.full(2)
        first = cluster.sets.list()[0].meta.name
        await cluster.set_image("nginx:2")
        await cluster.settle(10)
        await cluster.set_image("nginx")
        await cluster.settle(10)
        assert cluster.images() == ["nginx", "nginx"]
        assert len(cluster.sets.list()) == 2
        back = cluster.sets.get(Key("default", first)).meta.annotations
        assert (back[REVISION], back["deployment.kubernetes.io/revision-history"]) == ("3", "1")
        assert cluster.deployments.get(WEB).meta.annotations[REVISION] == "3"

    run(main())


def test_only_so_many_old_versions_are_kept():
    async def main():
        cluster = Cluster()
        await cluster.full(1, revisionHistoryLimit=2)
        for number in range(5):
            await cluster.set_image(f"nginx:{number}")
            await cluster.settle(10)
        assert sorted(rs.meta.annotations[REVISION] for rs in cluster.sets.list()) == ["4", "5", "6"]

    run(main())


def test_while_paused_only_the_number_changes():
    async def main():
        cluster = Cluster()
        await cluster.full(3, paused=False)
        await cluster.change(paused=True)
        await cluster.set_image("nginx:2")
        await cluster.settle(10)
        assert cluster.images() == ["nginx"] * 3
        assert cluster.condition("Progressing")["reason"] == "DeploymentPaused"
        await cluster.change(replicas=5)
        await cluster.settle(10)
        assert cluster.images() == ["nginx"] * 5
        await cluster.change(paused=False)
        await cluster.settle(10)
        assert cluster.images() == ["nginx:2"] * 5
        assert cluster.condition("Progressing")["reason"] == "NewReplicaSetAvailable"

    run(main())


def test_an_update_that_gets_nowhere_is_told_when_its_time_is_over():
    async def main():
        cluster = Cluster()
        await cluster.full(4, progressDeadlineSeconds=60)
        await cluster.set_image("broken")
        await cluster.settle(55)
        assert cluster.condition("Progressing")["reason"] == "ReplicaSetUpdated"
        await cluster.settle(10)
        told = cluster.condition("Progressing")
        assert (told["status"], told["reason"]) == ("False", "ProgressDeadlineExceeded")
        assert told["message"].endswith("has timed out progressing.")
        assert cluster.condition("Available")["status"] == "True"
        await cluster.set_image("nginx:2")
        await cluster.settle(10)
        assert cluster.condition("Progressing")["reason"] == "NewReplicaSetAvailable"

    run(main())


def test_versions_share_a_new_number_while_an_update_is_stuck():
    async def main():
        cluster = Cluster()
        await cluster.full(10, strategy=rolling(3, 2))
        await cluster.set_image("broken")
        await cluster.settle(10)
        assert sorted(rs.spec["replicas"] for rs in cluster.sets.list()) == [5, 8]
        await cluster.change(replicas=15)
        await cluster.settle(10)
        assert sorted(rs.spec["replicas"] for rs in cluster.sets.list()) == [7, 11]

    run(main())


def test_a_name_that_is_taken_leads_to_another():
    async def main():
        first, cluster = Cluster(), Cluster()
        await first.full(1)
        taken = first.sets.list()[0].meta.name
        await cluster.rooms()
        await cluster.sets.create(a_workload("ReplicaSet", taken, {"app": "other"}, replicas=0))
        await cluster.deployments.create(a_workload("Deployment", replicas=2))
        await cluster.settle(10)
        assert cluster.status["availableReplicas"] == 2
        assert cluster.status["collisionCount"] == 1

    run(main())


def test_a_set_that_fits_is_adopted_and_one_that_no_longer_does_is_released():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.sets.create(a_workload("ReplicaSet", "stray", replicas=2).with_meta(labels={"app": "web"}))
        await cluster.settle(5)
        await cluster.deployments.create(a_workload("Deployment", replicas=2))
        await cluster.settle(10)
        assert [rs.meta.controller.name for rs in cluster.sets.list()] == ["web"]  # its template is the present one
        await cluster.sets.change(Key("default", "stray"), lambda rs: rs.with_meta(labels={"app": "other"}))
        await cluster.settle(10)
        owners = {rs.meta.name: rs.meta.controller for rs in cluster.sets.list()}
        assert len(owners) == 2
        assert owners["stray"] is None

    run(main())


def test_pods_count_as_available_after_the_time_asked_for():
    async def main():
        cluster = Cluster()
        await cluster.full(2, minReadySeconds=100)
        assert "availableReplicas" not in cluster.status
        await cluster.settle(100)
        assert cluster.status["availableReplicas"] == 2

    run(main())


BLOWS = ["kill", "fail", "scale", "image", "broken", "pause", "resume", "strategy", "stray"]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.lists(st.sampled_from(BLOWS), max_size=10), st.integers())
def test_whatever_happens_it_ends_as_it_was_asked_to(replicas, blows, seed):
    async def main():
        chance, asked = random.Random(seed), replicas
        cluster = Cluster(ready_after_s=1, stop_s=1)
        await cluster.full(replicas)
        for number, blow in enumerate(blows):
            asked = chance.randint(0, 5) if blow == "scale" else asked
            await strike(cluster, blow, asked, number, chance)
            await cluster.settle(chance.choice([0.0, 0.9, 3.0]) + chance.random() / 10)
        await cluster.change(paused=False)
        await cluster.set_image("nginx:last")
        await cluster.settle(900)
        alive = [pod for pod in cluster.pods.list() if pod.meta.owners and pod.status["phase"] != "Failed"]
        assert [pod.spec["containers"][0]["image"] for pod in alive] == ["nginx:last"] * asked
        assert cluster.status.get("availableReplicas", 0) == asked
        assert cluster.condition("Progressing")["reason"] == "NewReplicaSetAvailable"
        assert sum(rs.spec["replicas"] for rs in cluster.sets.list()) == asked

    run(main())


async def strike(cluster, blow, asked, number, chance):
    pods = [pod for pod in cluster.pods.list() if not pod.meta.deleting and pod.status["phase"] != "Failed"]
    match blow:
        case "kill" if pods:
            await cluster.pods.delete(chance.choice(pods).key)
        case "fail" if pods:
            await cluster.pods.change(
                chance.choice(pods).key, lambda pod: pod.with_status(phase="Failed", conditions=[]), part="status"
            )
        case "scale":
            await cluster.change(replicas=asked)
        case "image":
            await cluster.set_image(f"nginx:{number}")
        case "broken":
            await cluster.set_image("broken")
        case "pause" | "resume":
            await cluster.change(paused=blow == "pause")
        case "strategy":
            await cluster.change(strategy=chance.choice([{"type": "Recreate"}, rolling(1, 0), rolling("50%", "50%")]))
        case "stray":
            await cluster.pods.create(a_pod(f"stray-{number}", {"app": "web", "stray": "yes"}))
