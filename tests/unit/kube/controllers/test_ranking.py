"""Which pods go first: each reason alone, and which reason goes before which."""

from __future__ import annotations

from itertools import pairwise

import pytest

from coracle.core.clock import rfc3339
from coracle.core.object import Meta, Object
from coracle.kube.controllers.ranking import doomed_first, youngest_first

NOW_S = 1_700_000_000.0
COST = "controller.kubernetes.io/pod-deletion-cost"


def a_pod(name, *, node="n1", phase="Running", ready=True, ready_ago_s=100, ago_s=1000, restarts=0, cost=None, uid="u"):
    since = rfc3339(NOW_S - ready_ago_s) if ready_ago_s is not None else ""
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
    created = rfc3339(NOW_S - ago_s) if ago_s is not None else ""
    annotations = {COST: str(cost)} if cost is not None else {}
    meta = Meta(name=name, uid=uid, created=created, annotations=annotations)
    status = {"phase": phase, "conditions": [condition], "containerStatuses": [{"name": "c", "restartCount": restarts}]}
    return Object("Pod", meta, {"spec": {"nodeName": node}, "status": status})


def with_sidecar(pod, restarts, policy="Always"):
    pod = pod.with_spec(initContainers=[{"name": "s", "restartPolicy": policy}])
    return pod.with_status(initContainerStatuses=[{"name": "s", "restartCount": restarts}])


# From the first to go to the last: each pair is told apart by one reason, and by all after it the other way round.
REASONS = [
    a_pod("unplaced", node="", cost=9),
    a_pod("pending", phase="Pending", cost=9),
    a_pod("unknown", phase="Unknown", cost=9),
    a_pod("unready", ready=False, cost=9),
    a_pod("cheap", cost=-1),
    a_pod("crowded", cost=5),
    a_pod("ready since shortly", node="n2", cost=5, ready_ago_s=10),
    a_pod("restarted", node="n2", cost=5, restarts=3),
    a_pod("with a restarted sidecar", node="n2", cost=5, restarts=2),
    a_pod("young", node="n2", cost=5, restarts=2, ago_s=200),
    a_pod("last of all", node="n2", cost=5, restarts=2),
]
REASONS[8] = with_sidecar(REASONS[8], 1)
NEAR = [a_pod(str(number)) for number in range(3)]


@pytest.mark.parametrize(("first", "then"), list(pairwise(REASONS)), ids=lambda pod: pod.meta.name)
def test_each_reason(first, then):
    for given in ([first, then], [then, first]):
        assert [pod.meta.name for pod in doomed_first(given, NEAR, NOW_S)] == [first.meta.name, then.meta.name]


def order(one, other):
    """The names in the order in which a ReplicaSet removes them, whichever comes first."""
    orders = [[pod.meta.name for pod in doomed_first(given, (), NOW_S)] for given in ([one, other], [other, one])]
    assert orders[0] == orders[1]
    return orders[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            a_pod("b", ready_ago_s=8), a_pod("a", ready_ago_s=9), id="ready for a shorter time, in powers of two"
        ),
        pytest.param(a_pod("b", ready_ago_s=6, uid="1"), a_pod("a", ready_ago_s=5, uid="2"), id="of one age by chance"),
        pytest.param(a_pod("b", ready_ago_s=None), a_pod("a"), id="nobody knows since when"),
        pytest.param(a_pod("b", ready_ago_s=-5, uid="1"), a_pod("a", ready_ago_s=0, uid="2"), id="the clock went back"),
        pytest.param(a_pod("b", ready=False, ago_s=8), a_pod("a", ready=False, ago_s=9), id="made lately"),
        pytest.param(a_pod("b", ago_s=None), a_pod("a"), id="nobody knows when it was made"),
        pytest.param(with_sidecar(a_pod("b"), 2), with_sidecar(a_pod("a"), 1), id="a sidecar that was restarted"),
        pytest.param(a_pod("a", cost="many"), a_pod("b", cost=1), id="no cost is none"),
        pytest.param(a_pod("a"), a_pod("b"), id="nothing between them: by name"),
    ],
)
def test_which_goes_first(one, other):
    assert order(one, other) == [one.meta.name, other.meta.name]


def test_what_is_initialised_once_is_no_sidecar():
    once = with_sidecar(a_pod("b"), 9, policy="")
    assert order(once, a_pod("a")) == ["a", "b"]


def test_ended_neighbours_are_no_crowd():
    ended = [a_pod(str(number), node="n2", phase="Failed") for number in range(5)]
    found = doomed_first([a_pod("a", node="n2"), a_pod("b")], [a_pod("c"), *ended], NOW_S)
    assert [pod.meta.name for pod in found] == ["b", "a"]


def test_a_job_knows_neither_cost_nor_crowd():
    given = [
        a_pod("old and cheap", ago_s=1000, cost=-5), a_pod("young", ago_s=999), a_pod("restarted", restarts=1),
        a_pod("ready since shortly", ready_ago_s=99), a_pod("unready", ready=False), a_pod("pending", phase="Pending"),
        a_pod("unplaced", node=""), a_pod("ready since when", ready_ago_s=None),
    ]  # fmt: skip
    assert [pod.meta.name for pod in youngest_first(given)] == [
        "unplaced", "pending", "unready", "ready since when", "ready since shortly", "restarted", "young", "old and cheap",
    ]  # fmt: skip
