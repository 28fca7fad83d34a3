"""Nodes that stop answering, what they are tainted with, and whose pods have to go when."""

from __future__ import annotations

import math

import pytest

from coracle.core.clock import rfc3339_micro
from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import podgc
from coracle.kube.controllers.nodelife import NodeLife
from coracle.kube.controllers.tainted import Tainted, patience_s
from coracle.kube.kinds import nodeconditions
from coracle.kube.kinds.conditions import condition
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod, place

ONE, NODE = Key("default", "one"), Key("", "n1")
GPU = {"key": "gpu", "effect": "NoExecute"}


def bears(seconds=None, key="gpu"):
    return {"key": key, "operator": "Exists"} | (
        {} if seconds is None else {"tolerationSeconds": seconds, "effect": "NoExecute"}
    )


@pytest.mark.parametrize(
    ("taints", "tolerations", "expected"),
    [
        ([], [], math.inf),
        ([GPU], [], 0),
        ([GPU], [bears()], math.inf),
        ([GPU], [bears(30)], 30),
        ([GPU], [bears(30), bears(10)], 10),
        ([GPU, {"key": "old", "effect": "NoExecute"}], [bears(30)], 0),
        ([GPU], [bears(-5)], 0),
    ],
    ids=["no taint", "not borne", "for ever", "for a while", "the shortest", "one of two", "negative is zero"],
)
def test_patience(taints, tolerations, expected):
    assert patience_s(taints, tolerations) == expected


@pytest.mark.parametrize(
    ("conditions", "spec", "expected"),
    [
        ({"Ready": "True", "DiskPressure": "False"}, {}, []),
        ({"Ready": "True"}, {"unschedulable": True}, ["unschedulable:NoSchedule"]),
        ({"Ready": "False"}, {}, ["not-ready:NoSchedule", "not-ready:NoExecute"]),
        ({"Ready": "Unknown"}, {}, ["unreachable:NoSchedule", "unreachable:NoExecute"]),
        ({"Ready": "True", "MemoryPressure": "True", "DiskPressure": "True"}, {}, ["memory-pressure:NoSchedule", "disk-pressure:NoSchedule"]),
        ({"Ready": "True"}, {"taints": [{"key": nodeconditions.NOT_READY, "effect": "NoExecute"}]}, []),
    ],
)  # fmt: skip
def test_taints_of_conditions(conditions, spec, expected):
    told = [{"type": type, "status": status} for type, status in conditions.items()]
    node = a_node(**spec).with_status(conditions=told)
    found = nodeconditions.taints(node, "2026-01-01T00:00:00Z")
    assert [f"{one['key'].removeprefix(nodeconditions.PREFIX)}:{one['effect']}" for one in found] == expected
    assert nodeconditions.taints(node.with_spec(taints=[*found, GPU]), "2027-01-01T00:00:00Z") == [*found, GPU]


class House(Stage):
    def __init__(self):
        super().__init__(podgc.INDEXES)
        self.run(NodeLife(self.caches, self.collections, self.recorder, self.clock))
        self.run(Tainted(self.caches, self["Pod"], self.recorder, self.clock))

    async def furnish(self, **spec):
        await self.rooms("kube-node-lease")
        await self["Node"].create(a_node())
        await self["Pod"].create(a_pod("one", **spec))
        await place(self, ONE)

    async def renew(self, lasts_s=40):
        spec = {"holderIdentity": "n1", "leaseDurationSeconds": lasts_s, "renewTime": rfc3339_micro(self.clock.now_s())}
        key = Key("kube-node-lease", "n1")
        if self["Lease"].find(key) is None:
            meta = Meta(name="n1", namespace="kube-node-lease")
            await self["Lease"].create(Object("Lease", meta, {"spec": spec}, "coordination.k8s.io/v1"))
        else:
            await self["Lease"].change(key, lambda lease: lease.with_body(spec=spec))

    def taints(self):
        return [taint["key"] for taint in self["Node"].get(NODE).spec.get("taints") or ()]


def test_a_node_that_stops_answering_and_comes_back():
    async def main():
        house = House()
        await house.furnish()
        for _ in range(6):
            await house.renew()
            await house.settle(20)
        assert house.taints() == []
        await house.settle(60)
        node, pod = house["Node"].get(NODE), house["Pod"].get(ONE)
        assert condition(node, "Ready")["reason"] == "NodeStatusUnknown"
        assert house.taints() == [nodeconditions.UNREACHABLE] * 2
        assert condition(pod, "Ready")["status"] == "False"
        assert not pod.meta.deleting
        told = [{"type": "Ready", "status": "True"}]
        await house.renew()
        await house["Node"].change(NODE, lambda one: one.with_status(conditions=told), "status")
        await house.settle(5)
        assert house.taints() == []

    run(main())


def test_a_short_lease_asks_for_little_patience():
    async def main():
        house = House()
        await house.furnish()
        await house.renew(lasts_s=8)
        await house.settle(9)
        assert house.taints() == []
        await house.settle(2)
        assert house.taints() == [nodeconditions.UNREACHABLE] * 2

    run(main())


def test_nodes_that_come_and_go_are_told():
    async def main():
        house = House()
        await house.furnish()
        await house.settle(1)
        await house["Node"].delete(NODE)
        await house["Node"].create(a_node())
        await house.settle(1)
        assert house.said("RegisteredNode") == ["Node n1 event: Registered Node n1 in Controller"] * 2
        assert house.said("RemovingNode") == ["Node n1 event: Removing Node n1 from Controller"]

    run(main())


def test_pods_of_a_silent_node_go_after_five_minutes():
    async def main():
        house = House()
        await house.furnish()
        await house.renew()
        await house.settle(300)
        assert not house["Pod"].get(ONE).meta.deleting
        await house.settle(80)
        pod = house["Pod"].get(ONE)
        assert pod.meta.deleting
        assert condition(pod, "DisruptionTarget")["reason"] == "DeletionByTaintManager"
        assert house.said("TaintManagerEviction") == ["Marking for deletion Pod default/one"]

    run(main())


@pytest.mark.parametrize(("spec", "after_s", "goes"), [({}, 1, True), ({"tolerations": [bears(30)]}, 20, False), ({"tolerations": [bears(30)]}, 40, True), ({"tolerations": [bears()]}, 900, False)], ids=["at once", "not yet", "in time", "never"])  # fmt: skip
def test_a_taint_by_hand(spec, after_s, goes):
    async def main():
        house = House()
        await house.furnish(**spec)
        await house.settle(1)
        await house["Node"].change(NODE, lambda one: one.with_spec(taints=[GPU]))
        await house.settle(after_s) if after_s < 50 else await house.settle(45)
        assert bool(house["Pod"].get(ONE).meta.deleting) is goes

    run(main())


def test_a_taint_that_is_taken_away_in_time_lets_the_pod_stay():
    async def main():
        house = House()
        await house.furnish(tolerations=[bears(30)])
        await house.settle(1)
        await house["Node"].change(NODE, lambda one: one.with_spec(taints=[GPU]))
        await house.settle(20)
        await house["Node"].change(NODE, lambda one: one.with_spec(taints=[]))
        await house.settle(15)
        assert not house["Pod"].get(ONE).meta.deleting
        assert house.said("TaintManagerEviction") == ["Cancelling deletion of Pod default/one"]

    run(main())


def test_a_cordon_is_a_taint():
    async def main():
        house = House()
        await house.furnish()
        await house["Node"].change(NODE, lambda one: one.with_spec(unschedulable=True))
        await house.settle(1)
        assert house.taints() == [nodeconditions.UNSCHEDULABLE]
        await house["Node"].change(NODE, lambda one: one.with_spec(unschedulable=False))
        await house.settle(1)
        assert house.taints() == []

    run(main())
