"""All controllers that make pods, at once in one cluster where pods are killed at random, and the garbage loop with them."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from coracle.core.collection import Deletion
from coracle.core.object import Key
from coracle.kube.controllers import workloads
from coracle.kube.controllers.garbage import Garbage
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_job, a_node, a_workload, an_rc

WANTED = {"Deployment": 3, "ReplicaSet": 2, "StatefulSet": 3, "DaemonSet": 2, "ReplicationController": 2}


class Cluster(Stage):
    def __init__(self):
        super().__init__(workloads.INDEXES)
        recorders = dict.fromkeys(workloads.SPEAKERS, self.recorder)
        for loop in workloads.loops(self.caches, self.collections, recorders, self.clock):
            self.run(loop, workers=2)
        owned = {type: collection for type, collection in self.collections.items() if type != "Event"}
        self.run(Garbage(self.caches, owned, self.recorder), workers=2)
        self.run(Kubelet(self, ready_after_s=2, stop_s=1))

    async def fill(self):
        await self.rooms()
        for name in ("n1", "n2"):
            await self["Node"].create(a_node(name))
        for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
            spec = {} if kind == "DaemonSet" else {"replicas": WANTED[kind]}
            await self[kind].create(a_workload(kind, kind.lower(), {"app": kind}, **spec))
        await self["ReplicationController"].create(an_rc(WANTED["ReplicationController"], labels={"app": "rc"}))
        await self["Job"].create(a_job(completions=2, parallelism=2, backoffLimit=100))
        await self.settle(60)

    def pods(self):
        """How many pods there are, ready and not going, by the kind that they come from."""
        found = {}
        for pod in self["Pod"].list():
            if pod.meta.deleting or not any(c["status"] == "True" for c in pod.status.get("conditions", ())):
                continue
            kind = pod.meta.controller.kind
            if pod.meta.labels.get("app") == "Deployment":
                kind = "Deployment"
            found[kind] = found.get(kind, 0) + 1
        return found


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 25), st.integers())
def test_after_random_kills_everything_is_as_it_was(kills, seed):
    async def main():
        chance, cluster = random.Random(seed), Cluster()
        await cluster.fill()
        assert cluster.pods() == {**WANTED, "Job": 2}
        for _ in range(kills):
            pods = [pod for pod in cluster["Pod"].list() if not pod.meta.deleting]
            if pods:
                await cluster["Pod"].delete(chance.choice(pods).key)
            await cluster.settle(chance.random() * 4)
        await cluster.settle(1000)
        assert cluster.pods() == {**WANTED, "Job": 2}
        status = cluster["Deployment"].get(Key("default", "deployment")).status
        assert status["availableReplicas"] == WANTED["Deployment"]

    run(main())


def test_what_is_deleted_takes_everything_with_it():
    async def main():
        cluster = Cluster()
        await cluster.fill()
        for kind in (*WANTED, "Job"):
            for owner in cluster[kind].list():
                if owner.meta.controller is None:
                    await cluster[kind].delete(owner.key, Deletion(propagation="Foreground"))
        await cluster.settle(60)
        left = {kind: len(cluster[kind].list()) for kind in ("Pod", *WANTED, "Job", "ControllerRevision")}
        assert set(left.values()) == {0}, left

    run(main())
