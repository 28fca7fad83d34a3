"""Where a pod may run, where it runs best, and what is said when it can run nowhere."""

from __future__ import annotations

import pytest

from coracle.core.object import Key, Meta, Object, Owner
from coracle.core.store import Event, to_entry
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.taints import tolerated
from coracle.kube.scheduler.choice import Choice, choose
from coracle.kube.scheduler.state import State, facts
from coracle.testing.kube import a_node, a_pod

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def a_wish(name="new", labels=None, owner="", **spec):
    """A pod as it is stored, as the scheduler sees it."""
    owners = (Owner("v1", "ReplicationController", "rc", owner),) if owner else ()
    return facts(pods.default(a_pod(name, labels, **spec)).with_meta(owners=owners))


def a_state(*nodes, pods_on=()):
    state = State()
    for node in nodes:
        state.see_node(Event("ADDED", to_entry(node), None))
    for pod, name in pods_on:
        state.assume(pod, name)
    return tuple(state.nodes.values())


def asks(cpu="0", memory="0", **more):
    requests = {"cpu": cpu, "memory": memory}
    return {"containers": [{"name": "www", "image": "nginx", "resources": {"requests": requests}, **more}]}


def near(key, term):
    return {"affinity": {key: {REQUIRED: [term]}}}


def web(topology="kubernetes.io/hostname"):
    return {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": topology}


TAINTED = a_node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
FULL = [(a_wish("big", **asks("3500m")), "n1")]
WEB = [(a_wish("web", {"app": "web"}), "n1")]
WEB_ON_2 = [(WEB[0][0], "n2")]
SIBLING_AND_BIG = [(a_wish("sibling", owner="u1"), "n1"), (a_wish("big", **asks("1")), "n2")]
PORT = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
ONLY_SSD = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}


@pytest.mark.parametrize(
    ("node", "there", "spec", "reason"),
    [
        pytest.param(a_node(), [], {}, "", id="room and no wishes"),
        pytest.param(a_node(), FULL, asks("1"), "Insufficient cpu", id="too little cpu"),
        pytest.param(a_node(), FULL, asks("500m"), "", id="exactly enough cpu"),
        pytest.param(a_node(), [], asks("1", "9Gi"), "Insufficient memory", id="too little memory"),
        pytest.param(
            a_node(), [(a_wish(f"p{i}"), "n1") for i in range(110)], {}, "Too many pods", id="as many pods as it takes"
        ),
        pytest.param(a_node(unschedulable=True), [], {}, "node(s) were unschedulable", id="cordoned"),
        pytest.param(TAINTED, [], {}, "node(s) had untolerated taint(s)", id="tainted"),
        pytest.param(TAINTED, [], {"tolerations": [{"key": "gpu", "operator": "Exists"}]}, "", id="tolerated"),
        pytest.param(
            a_node(), [], {"nodeSelector": {"disk": "ssd"}}, "node(s) didn't match Pod's node affinity/selector",
            id="node selector",
        ),
        pytest.param(a_node(labels={"disk": "ssd"}), [], {"nodeSelector": {"disk": "ssd"}}, "", id="selected"),
        pytest.param(
            a_node(), [], {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [ONLY_SSD]}}}},
            "node(s) didn't match Pod's node affinity/selector", id="node affinity",
        ),
        pytest.param(
            a_node(), [(a_wish("other", **asks(**PORT)), "n1")], asks(**PORT),
            "node(s) didn't have free ports for the requested pod ports", id="host port taken",
        ),
        pytest.param(
            a_node(), [], near("podAffinity", web()), "node(s) didn't match pod affinity rules", id="nobody to be near"
        ),
        pytest.param(a_node(), WEB, near("podAffinity", web()), "", id="near somebody"),
        pytest.param(
            a_node(), WEB, near("podAntiAffinity", web()), "node(s) didn't match pod anti-affinity rules",
            id="too near somebody",
        ),
    ],
)  # fmt: skip
def test_filters(node, there, spec, reason):
    choice = choose(a_wish(labels={"app": "new"}, **spec), a_state(node, pods_on=there))
    if reason:
        assert choice.node == ""
        assert choice.refusal.startswith(
            f"0/1 nodes are available: 1 {reason}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 "
        )
    else:
        assert choice == Choice(node="n1")


def test_the_first_of_a_group_that_wants_to_be_together_is_placed():
    pod = a_wish(labels={"app": "web"}, **near("podAffinity", web()))
    assert choose(pod, a_state(a_node())).node == "n1"


def test_pods_that_are_there_may_not_want_the_new_one():
    shy = a_wish("shy", {"app": "db"}, **near("podAntiAffinity", web()))
    choice = choose(a_wish(labels={"app": "web"}), a_state(a_node(), pods_on=[(shy, "n1")]))
    assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in choice.refusal


def test_spreading_over_zones():
    zones = [a_node("n0", {"zone": "z0"}), a_node("n1", {"zone": "z1"})]
    there = [(a_wish("web", {"app": "web"}), "n0")]
    constraint = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **web("zone")}
    pod = a_wish(labels={"app": "web"}, topologySpreadConstraints=[constraint])
    assert choose(pod, a_state(*zones, pods_on=there)).node == "n1"
    said = "node(s) didn't match pod topology spread constraints"
    cordoned = a_node("n1", {"zone": "z1"}, unschedulable=True)
    assert f"1 {said}, 1" in choose(pod, a_state(zones[0], cordoned, pods_on=there)).refusal
    assert f"1 {said} (missing required label)." in choose(pod, a_state(a_node("n2"))).refusal


@pytest.mark.parametrize(
    ("wants", "said"),
    [
        ("3", "1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."),
        ("8", "3 Preemption is not helpful for scheduling."),
    ],
    ids=["more than is left", "more than there is"],
)
def test_reasons_are_counted_and_ordered(wants, said):
    there = [(a_wish(name, **asks("2")), name) for name in ("n2", "n3")]
    nodes = a_state(a_node("n1", unschedulable=True), a_node("n2"), a_node("n3"), pods_on=there)
    assert choose(a_wish(**asks(wants)), nodes).refusal == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. no new claims to deallocate, "
        f"preemption: 0/3 nodes are available: {said}"
    )


def test_ports_of_sidecars_count():
    sidecar = {"name": "s", "image": "i", "restartPolicy": "Always", **PORT}
    taken = [(a_wish("other", initContainers=[sidecar]), "n1")]
    assert "free ports" in choose(a_wish(**asks(**PORT)), a_state(a_node(), pods_on=taken)).refusal


def test_no_nodes_at_all():
    assert choose(a_wish(), ()).refusal == "no nodes available to schedule pods"


def prefer(key, **term):
    return {"affinity": {key: {PREFERRED: [{"weight": 50, **term}]}}}


@pytest.mark.parametrize(
    ("pod", "there", "best"),
    [
        pytest.param(a_wish(), FULL, "n2", id="where there is more room"),
        pytest.param(a_wish(), [], "n1", id="the first by name of equals"),
        pytest.param(a_wish(**prefer("nodeAffinity", preference=ONLY_SSD)), [], "n2", id="a preferred node"),
        pytest.param(a_wish(**prefer("podAffinity", podAffinityTerm=web())), WEB_ON_2, "n2", id="near friends"),
        pytest.param(a_wish(**prefer("podAntiAffinity", podAffinityTerm=web())), WEB, "n2", id="away from others"),
        pytest.param(a_wish(owner="u1"), SIBLING_AND_BIG, "n2", id="apart from siblings all the same"),
    ],
)  # fmt: skip
def test_scores(pod, there, best):
    assert choose(pod, a_state(a_node("n1"), a_node("n2", {"disk": "ssd"}), pods_on=there)).node == best


def test_soft_taints_are_avoided():
    soft = a_node("n1", taints=[{"key": "old", "effect": "PreferNoSchedule"}])
    assert choose(a_wish(), a_state(soft, a_node("n2"))).node == "n2"


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "no"}, False),
        ({"key": "cpu", "operator": "Exists"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_tolerated(toleration, expected):
    assert tolerated({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, [toleration]) is expected


def test_state_counts_what_comes_and_goes():
    state = State()
    pod = Object("Pod", Meta(name="p", namespace="default"), pods.default(a_pod("p", **asks("1"))).body)
    placed = pod.with_spec(nodeName="n1")
    state.see_pod(Event("ADDED", to_entry(placed), None))  # before its node is known
    state.see_node(Event("ADDED", to_entry(a_node()), None))
    node = state.nodes["n1"]
    assert node.taken == {"cpu": 10**9}
    state.see_node(Event("MODIFIED", to_entry(a_node(unschedulable=True)), to_entry(a_node())))
    assert state.nodes["n1"].taken == {"cpu": 10**9}
    ended = placed.with_status(phase="Succeeded")
    state.see_pod(Event("MODIFIED", to_entry(ended), to_entry(placed)))
    assert state.nodes["n1"].taken == {"cpu": 0}
    assert Key("default", "p") not in state.nodes["n1"].pods
