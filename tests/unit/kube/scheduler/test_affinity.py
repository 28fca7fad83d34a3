"""Which other pods a term means, and how pods are spread over places."""

from __future__ import annotations

import pytest

from coracle.core.errors import Invalid
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Event, to_entry
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import condition
from coracle.kube.kinds.podspec.affinities import REQUIRED
from coracle.kube.scheduler import binding
from coracle.kube.scheduler.affinity import term
from coracle.kube.scheduler.binding import Binding
from coracle.kube.scheduler.choice import choose
from coracle.kube.scheduler.state import State, facts
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod

WEB = {"labelSelector": {"matchLabels": {"app": "web"}}}


def wish(name="new", labels=None, namespace="default", room=None, **spec):
    return facts(pods.default(a_pod(name, labels, namespace=namespace, **spec)), room)


def zones(counts, **taints):
    """Nodes n0, n1, ... each in a zone of its own with so many pods labelled app=web."""
    state = State()
    for index, number in enumerate(counts):
        node = a_node(f"n{index}", {"zone": f"z{index}"}, taints=taints.get(f"n{index}", []))
        state.see_node(Event("ADDED", to_entry(node), None))
        for one in range(number):
            state.assume(wish(f"p{index}{one}"), f"n{index}")
    return tuple(state.nodes.values())


@pytest.mark.parametrize(
    ("given", "other", "means"),
    [
        pytest.param({}, wish(), True, id="of its own namespace"),
        pytest.param({}, wish(namespace="far"), False, id="of another"),
        pytest.param({"namespaces": ["far"]}, wish(namespace="far"), True, id="of a named one"),
        pytest.param({"namespaces": ["far"]}, wish(), False, id="its own is not named"),
        pytest.param({"namespaceSelector": {}}, wish(namespace="far"), True, id="of any"),
        pytest.param({"namespaceSelector": {"matchLabels": {"team": "a"}}}, wish(namespace="far", room={"team": "a"}), True, id="by the namespace's labels"),
        pytest.param({"namespaceSelector": {"matchLabels": {"team": "a"}}}, wish(namespace="far", room={"team": "b"}), False, id="by other labels"),
        pytest.param({"matchLabelKeys": ["hash"]}, wish(labels={"app": "web", "hash": "1"}), True, id="of the same version"),
        pytest.param({"matchLabelKeys": ["hash"]}, wish(labels={"app": "web", "hash": "2"}), False, id="of another version"),
        pytest.param({"mismatchLabelKeys": ["hash"]}, wish(labels={"app": "web", "hash": "1"}), False, id="not of its own version"),
    ],
)  # fmt: skip
def test_whom_a_term_means(given, other, means):
    wanted = {"podAffinity": {REQUIRED: [{**WEB, "topologyKey": "zone", **given}]}}
    holder = facts(pods.assign(a_pod("holder", {"app": "web", "hash": "1"}, affinity=wanted), None, None))
    assert term(holder.terms("podAffinity")[0], holder).means(other) is means


def spread(labels=None, when="DoNotSchedule", **more):
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": when, **WEB, **more}
    return wish(labels=labels, topologySpreadConstraints=[constraint])


GPU = {"n1": [{"key": "gpu", "effect": "NoSchedule"}]}


@pytest.mark.parametrize(
    ("pod", "nodes", "expected"),
    [
        pytest.param(spread(), zones([1, 0]), "n1", id="the emptier place"),
        pytest.param(spread(), zones([1, 0], **GPU), "", id="a place that it cannot have counts"),
        pytest.param(spread(nodeTaintsPolicy="Honor"), zones([1, 0], **GPU), "n0", id="or not, where taints are honoured"),
        pytest.param(spread({"app": "other"}), zones([1, 0], **GPU), "n0", id="one that is not meant is no more"),
        pytest.param(spread(minDomains=2), zones([1]), "", id="too few places"),
        pytest.param(spread(minDomains=1), zones([1]), "n0", id="enough places"),
        pytest.param(spread(when="ScheduleAnyway"), zones([1, 0], **GPU), "n0", id="only if it can be"),
        pytest.param(spread(when="ScheduleAnyway"), zones([2, 1, 3]), "n1", id="and then where there are fewest"),
    ],
)  # fmt: skip
def test_spreading(pod, nodes, expected):
    assert choose(pod, nodes).node == expected


def test_a_gated_pod_waits_for_its_last_gate():
    async def main():
        stage = Stage(binding.INDEXES)
        stage.run(Binding(stage.caches, stage["Pod"], stage["PersistentVolumeClaim"], stage.recorder, stage.clock))
        await stage.rooms()
        await stage["Node"].create(a_node())
        key = Key("default", "one")
        await stage["Pod"].create(a_pod("one", schedulingGates=[{"name": "a.b/c"}, {"name": "a.b/d"}]))
        for gates, node in (([{"name": "a.b/d"}], None), ([], "n1")):
            await stage["Pod"].change(key, lambda pod, gates=gates: pod.with_spec(schedulingGates=gates))
            await stage.settle(1)
            assert stage["Pod"].get(key).spec.get("nodeName") == node
        with pytest.raises(Invalid, match="only deletion is allowed, but found new scheduling gate"):
            await stage["Pod"].change(key, lambda pod: pod.with_spec(schedulingGates=[{"name": "a.b/e"}]))

    run(main())


def test_the_namespaces_labels_are_looked_up():
    async def main():
        stage = Stage(binding.INDEXES)
        stage.run(Binding(stage.caches, stage["Pod"], stage["PersistentVolumeClaim"], stage.recorder, stage.clock))
        await stage.rooms()
        await stage["Namespace"].create(Object("Namespace", Meta(name="far", labels={"team": "a"})))
        await stage["Node"].create(a_node())
        await stage["Pod"].create(a_pod("there", namespace="far"))
        await stage.settle(1)
        away = {"topologyKey": "kubernetes.io/hostname", "namespaceSelector": {"matchLabels": {"team": "a"}}, **WEB}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": [away]}
        await stage["Pod"].create(a_pod("shy", affinity={"podAntiAffinity": required}))
        await stage.settle(1)
        said = condition(stage["Pod"].get(Key("default", "shy")), "PodScheduled")["message"]
        assert said.startswith("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.")
        await stage["Namespace"].change(Key("", "far"), lambda room: room.with_meta(labels={"team": "b"}))
        await stage.settle(1)
        assert stage["Pod"].get(Key("default", "shy")).spec["nodeName"] == "n1"

    run(main())
