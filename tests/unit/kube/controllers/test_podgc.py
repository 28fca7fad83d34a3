"""Pods of nodes that are gone go too, after some patience."""

from __future__ import annotations

import pytest

from coracle.core.object import Key
from coracle.kube.controllers import podgc
from coracle.kube.controllers.podgc import LostPods
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod, place


def a_cluster():
    stage = Stage(podgc.INDEXES)
    stage.run(LostPods(stage.caches, stage["Pod"], stage.clock))
    return stage


def test_pods_stay_while_their_node_does_and_a_little_longer():
    async def main():
        cluster = a_cluster()
        await cluster.rooms()
        await cluster["Node"].create(a_node())
        one = await cluster["Pod"].create(a_pod("one"))
        await place(cluster, one.key)
        await cluster["Pod"].create(a_pod("unplaced"))
        await cluster.settle(100)
        assert len(cluster["Pod"].list()) == 2
        await cluster["Node"].delete(Key("", "n1"))
        await cluster.settle(30)
        assert len(cluster["Pod"].list()) == 2
        await cluster.settle(45)
        assert [pod.meta.name for pod in cluster["Pod"].list()] == ["unplaced"]

    run(main())


def test_a_node_that_comes_back_keeps_its_pods():
    async def main():
        cluster = a_cluster()
        await cluster.rooms()
        await cluster["Node"].create(a_node())
        one = await cluster["Pod"].create(a_pod("one"))
        await place(cluster, one.key)
        await cluster["Node"].delete(Key("", "n1"))
        await cluster.settle(30)
        await cluster["Node"].create(a_node())
        await cluster.settle(100)
        assert cluster["Pod"].find(one.key) is not None

    run(main())


@pytest.mark.parametrize(
    ("ready", "tainted", "deleted", "stays"),
    [("Unknown", True, True, False), ("True", True, True, True), ("Unknown", False, True, True), ("Unknown", True, False, True)],
    ids=["it will not come back", "it answers", "it may come back", "nobody wants the pod to go"],
)  # fmt: skip
def test_terminating_pods_of_a_node_that_is_out_of_service(ready, tainted, deleted, stays):
    async def main():
        cluster = a_cluster()
        await cluster.rooms()
        await cluster["Node"].create(a_node())
        one = await cluster["Pod"].create(a_pod("one"))
        await place(cluster, one.key)
        if deleted:
            await cluster["Pod"].delete(one.key)
        await cluster.settle(5)
        told = [{"type": "Ready", "status": ready}]
        await cluster["Node"].change(Key("", "n1"), lambda node: node.with_status(conditions=told), "status")
        if tainted:
            taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
            await cluster["Node"].change(Key("", "n1"), lambda node: node.with_spec(taints=[taint]))
        await cluster.settle(5)
        assert (cluster["Pod"].find(one.key) is not None) is stays

    run(main())
