"""Who goes so that a more important pod can run, and what everybody is told."""

from __future__ import annotations

import pytest

from coracle.core.collection import Deletion
from coracle.core.object import Key, Meta, Object
from coracle.core.selectors import from_label_selector
from coracle.core.store import Event, to_entry
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import poddisruptionbudget, priorityclass
from coracle.kube.kinds.conditions import condition
from coracle.kube.scheduler import binding
from coracle.kube.scheduler.binding import Binding
from coracle.kube.scheduler.choice import choose
from coracle.kube.scheduler.preemption import Budget, plan
from coracle.kube.scheduler.state import State, facts
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod


def wish(name, cpu, priority=0, labels=None, started=""):
    requests = {"cpu": cpu}
    containers = [{"name": "www", "image": "nginx", "resources": {"requests": requests}}]
    pod = pods.default(a_pod(name, labels, containers=containers, priority=priority))
    return facts(pod.with_status(startTime=started))


def nodes_with(**there):
    state = State()
    for name, some in there.items():
        state.see_node(Event("ADDED", to_entry(a_node(name)), None))
        for pod in some:
            state.assume(pod, name)
    return tuple(state.nodes.values())


GUARD = [Budget("default", from_label_selector({"matchLabels": {"app": "guarded"}}), 0)]
GUARDED = {"app": "guarded"}


@pytest.mark.parametrize(
    ("there", "budgets", "expected"),
    [
        pytest.param({"n1": [wish("a", "4")]}, [], ("n1", {"a"}), id="the only one"),
        pytest.param({"n1": [wish("a", "4", 100)]}, [], ("", set()), id="an equal stays"),
        pytest.param({"n1": [wish("a", "2"), wish("b", "2", 5)]}, [], ("n1", {"a"}), id="the least important"),
        pytest.param({"n1": [wish("a", "1"), wish("b", "2"), wish("c", "1")]}, [], ("n1", {"b", "c"}), id="as few as possible, the older first let back"),
        pytest.param({"n1": [wish("a", "4", 5)], "n2": [wish("b", "4", 1)]}, [], ("n2", {"b"}), id="where the least important are"),
        pytest.param({"n1": [wish("a", "4", 1, GUARDED)], "n2": [wish("b", "4", 5)]}, GUARD, ("n2", {"b"}), id="where no budget is broken"),
        pytest.param({"n1": [wish("a", "2", 1, GUARDED), wish("b", "2", 5)]}, GUARD, ("n1", {"b"}), id="the guarded one is let back"),
        pytest.param({"n1": [wish("a", "4", 1, GUARDED)]}, GUARD, ("n1", {"a"}), id="a budget is broken where nothing else helps"),
        pytest.param({"n1": [wish("a", "4", started="2026-01-01T00:00:00Z")], "n2": [wish("b", "4", started="2026-01-02T00:00:00Z")]}, [], ("n2", {"b"}), id="who has run for less time"),
    ],
)  # fmt: skip
def test_who_goes(there, budgets, expected):
    nodes, pod = nodes_with(**there), wish("new", "2", 100)
    if there == {"n1": [wish("a", "1"), wish("b", "2"), wish("c", "1")]}:
        pod = wish("new", "3", 100)
    found = plan(pod, nodes, choose(pod, nodes).refused, budgets)
    assert (found.node, {key.name for key in found.victims}) == expected


def test_what_is_said_where_nobody_helps():
    nodes = nodes_with(n1=[wish("a", "4", 100)], n2=[wish("b", "1", 1), wish("c", "3", 100)])
    found = plan(wish("new", "2", 100), nodes, choose(wish("new", "2", 100), nodes).refused)
    assert found.reasons == {"n1": ("No preemption victims found for incoming pod",), "n2": ["Insufficient cpu"]}
    found = plan(wish("new", "9", 100), nodes, choose(wish("new", "9", 100), nodes).refused)
    assert set(found.reasons.values()) == {("Preemption is not helpful for scheduling",)}


def a_class(name, value, **body):
    return Object("PriorityClass", Meta(name=name), {"value": value, **body}, priorityclass.API)


def big(name, cpu="3", **spec):
    containers = [{"name": "www", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}]
    return a_pod(name, containers=containers, **spec)


async def a_cluster():
    stage = Stage(binding.INDEXES)
    stage.run(Binding(stage.caches, stage["Pod"], stage["PersistentVolumeClaim"], stage.recorder, stage.clock))
    await stage.rooms()
    await stage["Node"].create(a_node())
    for one in (a_class("high", 100), a_class("calm", 100, preemptionPolicy="Never")):
        await stage["PriorityClass"].create(one)
    return stage


def test_a_pod_gets_the_room_of_a_less_important_one():
    async def main():
        stage = await a_cluster()
        await stage["Pod"].create(big("low"))
        await stage.settle(1)
        await stage["Pod"].change(Key("default", "low"), lambda pod: pod.with_status(phase="Running"), part="status")
        await stage["Pod"].create(big("top", priorityClassName="high"))
        await stage.settle(1)
        low, top = stage["Pod"].get(Key("default", "low")), stage["Pod"].get(Key("default", "top"))
        assert low.meta.deleting
        assert condition(low, "DisruptionTarget")["reason"] == "PreemptionByScheduler"
        assert top.status["nominatedNodeName"] == "n1"
        assert condition(top, "PodScheduled")["message"] == "0/1 nodes are available: 1 Insufficient cpu."
        assert stage.said("Preempted") == [f"Preempted by pod {top.meta.uid} on node n1"]
        await stage["Pod"].create(big("late", "1500m"))  # may not take what is promised
        await stage.settle(1)
        await stage["Pod"].delete(low.key, Deletion(grace_s=0))
        await stage.settle(5)
        assert {pod.meta.name: pod.spec.get("nodeName") for pod in stage["Pod"].list()} == {"top": "n1", "late": None}
        assert "nominatedNodeName" not in stage["Pod"].get(top.key).status

    run(main())


def test_a_pod_that_does_not_preempt_waits():
    async def main():
        stage = await a_cluster()
        await stage["Pod"].create(big("low"))
        await stage.settle(1)
        await stage["Pod"].create(big("top", priorityClassName="calm"))
        await stage.settle(1)
        assert not stage["Pod"].get(Key("default", "low")).meta.deleting
        assert stage.said("FailedScheduling") == [
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
            "not eligible due to preemptionPolicy=Never."
        ]

    run(main())


def test_a_budget_is_looked_at():
    async def main():
        stage = await a_cluster()
        for name, labels in (("a", {"app": "guarded"}), ("b", {"app": "free"})):
            await stage["Pod"].create(big(name, "2").with_meta(labels=labels))
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}
        meta = Meta(name="guard", namespace="default")
        budget = Object("PodDisruptionBudget", meta, {"spec": spec}, poddisruptionbudget.API)
        await stage["PodDisruptionBudget"].create(budget)
        await stage.settle(1)
        await stage["Pod"].create(big("top", "2", priorityClassName="high"))
        await stage.settle(1)
        assert {pod.meta.name for pod in stage["Pod"].list() if pod.meta.deleting} == {"b"}

    run(main())
