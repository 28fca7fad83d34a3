"""What the statuses of workloads may count."""

from __future__ import annotations

import pytest

from coracle.kube.kinds import (
    daemonset,
    deployment,
    poddisruptionbudget,
    replicaset,
    replicationcontroller,
    statefulset,
)
from coracle.testing.kube import a_workload, an_rc

MORE = "cannot be greater than"
NEGATIVE = "must be greater than or equal to 0"


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        pytest.param(deployment, {"replicas": 2, "readyReplicas": 2, "availableReplicas": 1}, [], id="all is well"),
        pytest.param(deployment, {"unavailableReplicas": -1}, [("unavailableReplicas", f"-1: {NEGATIVE}")], id="negative"),
        pytest.param(deployment, {"observedGeneration": -1}, [("observedGeneration", f"-1: {NEGATIVE}")], id="unseen"),
        pytest.param(deployment, {"updatedReplicas": 1}, [("updatedReplicas", f"1: {MORE} status.replicas")], id="updated"),
        pytest.param(deployment, {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}, [("availableReplicas", f"2: {MORE} readyReplicas")], id="available, not ready"),
        pytest.param(replicaset, {"replicas": 1, "fullyLabeledReplicas": 2}, [("fullyLabeledReplicas", f"2: {MORE} status.replicas")], id="labelled"),
        pytest.param(replicaset, {"terminatingReplicas": 3}, [], id="those that go are no part"),
        pytest.param(replicationcontroller, {"readyReplicas": 1}, [("readyReplicas", f"1: {MORE} status.replicas")], id="a replication controller"),
        pytest.param(statefulset, {"replicas": 1, "currentReplicas": 2}, [("currentReplicas", f"2: {MORE} status.replicas")], id="a stateful set"),
        pytest.param(statefulset, {"replicas": 1, "availableReplicas": 1}, [("availableReplicas", f"1: {MORE} status.readyReplicas")], id="and what is available"),
        pytest.param(daemonset, {"numberReady": -2}, [("numberReady", f"-2: {NEGATIVE}")], id="a daemon set"),
        pytest.param(poddisruptionbudget, {"disruptionsAllowed": -2}, [("disruptionsAllowed", f"-2: {NEGATIVE}")], id="a budget"),
    ],
)  # fmt: skip
def test_numbers(kind, status, expected):
    old = a_workload(kind.KIND.name) if kind is not replicationcontroller else an_rc(1)
    problems = kind.KIND.validate_change(old.with_body(status=status), old, "status")
    said = [(f"status.{name}", f"Invalid value: {text}") for name, text in expected]
    assert [(problem.field, problem.text) for problem in problems] == said
    assert not kind.KIND.validate_change(old.with_body(status=status), old, "main")


@pytest.mark.parametrize(
    ("before", "after", "fits"),
    [(None, 1, True), (1, 1, True), (1, 2, True), (2, 1, False), (1, None, False), (0, None, True), (None, -1, False)],
)
def test_collisions_are_not_forgotten(before, after, fits):
    old, new = (a_workload("Deployment").with_body(status={"collisionCount": count}) for count in (before, after))
    assert bool(deployment.validate_change(new, old, "status")) is not fits
