"""Zeros that say nothing are not kept, those that say something are."""

from __future__ import annotations

import pytest

from coracle.kube.kinds import zeros
from coracle.kube.kinds.definitions import named, schema

POD, SERVICE, POLICY = schema("v1", "Pod"), schema("v1", "Service"), schema("networking.k8s.io/v1", "NetworkPolicy")
CLAIM, JOB, PDB = (
    schema("v1", "PersistentVolumeClaim"),
    schema("batch/v1", "Job"),
    schema("policy/v1", "PodDisruptionBudget"),
)


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        (POD, {"spec": {"hostNetwork": False, "hostname": "", "volumes": [], "nodeSelector": {}}}, {"spec": {}}),
        (POD, {"spec": {"hostUsers": False, "terminationGracePeriodSeconds": 0, "runtimeClassName": ""}}, None),
        (POD, {"spec": {"containers": []}}, None),
        (POD, {"spec": {"containers": [{"name": "", "tty": False, "env": [], "command": []}]}},
         {"spec": {"containers": [{"name": ""}]}}),
        (POD, {"spec": {"containers": [{"env": [{"name": "A", "value": ""}], "resources": {"limits": {}}}]}},
         {"spec": {"containers": [{"env": [{"name": "A"}], "resources": {}}]}}),
        (POD, {"spec": {"containers": [{"securityContext": {"privileged": False, "runAsUser": 0}}]}}, None),
        (POD, {"spec": {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/", "type": ""}}]}}, None),
        (POD, {"metadata": {"labels": {"a": ""}, "annotations": {}}}, {"metadata": {"labels": {"a": ""}}}),
        (SERVICE, {"spec": {"clusterIP": "", "selector": {}, "ports": [{"port": 0, "nodePort": 0}]}},
         {"spec": {"ports": [{"port": 0}]}}),
        (SERVICE, {"spec": {"loadBalancerClass": "", "allocateLoadBalancerNodePorts": False}}, None),
        (POLICY, {"spec": {"podSelector": {}, "ingress": [{"from": []}, {}], "egress": []}},
         {"spec": {"podSelector": {}, "ingress": [{}, {}]}}),
        (CLAIM, {"spec": {"storageClassName": "", "volumeName": ""}}, {"spec": {"storageClassName": ""}}),
        (JOB, {"spec": {"parallelism": 0, "suspend": False, "ttlSecondsAfterFinished": 0}}, None),
        (PDB, {"status": {"disruptionsAllowed": 0}}, None),
        (schema("v1", "Namespace"), {"spec": {"finalizers": []}}, None),
        (schema("discovery.k8s.io/v1", "EndpointSlice"), {"endpoints": [], "ports": []}, None),
    ],
)  # fmt: skip
def test_what_is_kept(kind, given, kept):
    assert kind.clean(given) == (given if kept is None else kept)


@pytest.mark.parametrize(("name", "fields"), [*zeros._OMITTED.items(), *zeros._WRITTEN.items()])
def test_the_fields_are_there(name, fields):
    assert set(fields.split()) <= set(named(f"io.k8s.api.{name}").fields)
