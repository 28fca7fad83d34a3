"""What Deployments, ReplicaSets and their like may say, and what they say where the user said nothing."""

from __future__ import annotations

import pytest

from coracle.core.object import Meta, Object, Owner
from coracle.kube.kinds import (
    controllerrevision,
    daemonset,
    deployment,
    podtemplate,
    replicaset,
    statefulset,
    workloads,
)
from coracle.testing.kube import a_workload

NOW_S = 1_700_000_000.0
CONTAINERS = {"containers": [{"name": "a", "image": "b"}]}


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [
        (3, 10, True, 3),
        ("25%", 10, True, 3),
        ("25%", 10, False, 2),
        ("0%", 10, True, 0),
        ("100%", 7, False, 7),
        ("1%", 3, True, 1),
    ],
)
def test_portions(value, total, up, expected):
    assert workloads.resolve(value, total, up=up) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, None),
        ("30%", None),
        (-1, "Invalid value: -1: must be greater than or equal to 0"),
        ("a third", "Invalid value: \"a third\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"),
    ],
)  # fmt: skip
def test_what_a_portion_may_be(value, said):
    assert [problem.text for problem in workloads.portion("x", value)] == ([said] if said else [])


TEMPLATE = {"metadata": {"labels": {"app": "web"}}}


@pytest.mark.parametrize("kind", [replicaset, deployment])
@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"replicas": -1}, "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ({"minReadySeconds": -1}, "spec.minReadySeconds", "Invalid value: -1: must be greater than or equal to 0"),
        ({"selector": None}, "spec.selector", "Required value"),
        ({"selector": {}}, "spec.selector", "Invalid value: {}: empty selector is invalid for deployment"),
        ({"selector": {"matchLabels": {"app": "db"}}}, "spec.template.metadata.labels", 'Invalid value: {"app":"web"}: `selector` does not match template `labels`'),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "Is"}]}}, "spec.selector.matchExpressions[0].operator", 'Invalid value: "Is": not a valid selector operator'),
        ({"template": {**TEMPLATE, "spec": {}}}, "spec.template.spec.containers", "Required value"),
        ({"template": {**TEMPLATE, "spec": {**CONTAINERS, "restartPolicy": "Never"}}}, "spec.template.spec.restartPolicy", 'Unsupported value: "Never": supported values: "Always"'),
        ({"template": {**TEMPLATE, "spec": {**CONTAINERS, "activeDeadlineSeconds": 5}}}, "spec.template.spec.activeDeadlineSeconds", "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"),
    ],
)  # fmt: skip
def test_what_is_refused(kind, spec, field, text):
    problems = kind.validate(kind.default(a_workload(kind.KIND.name, **spec)))
    assert (field, text) in [(problem.field, problem.text) for problem in problems]


UNFIT = "Invalid value: {labels}: `selector` does not match template `labels`"
SELECTS = {"selector": {"matchLabels": {"app": "web"}}}


@pytest.mark.parametrize("kind", [replicaset, deployment, statefulset, daemonset])
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            {},
            [("template.metadata.labels", UNFIT.format(labels="null")), ("template.spec.containers", "Required value")],
            id="nothing at all",
        ),
        pytest.param(
            SELECTS,
            [("template.metadata.labels", UNFIT.format(labels="null")), ("template.spec.containers", "Required value")],
            id="no template",
        ),
        pytest.param(
            {"template": {**TEMPLATE, "spec": CONTAINERS}},
            [("template.metadata.labels", UNFIT.format(labels='{"app":"web"}'))],
            id="no selector",
        ),
        pytest.param({**SELECTS, "template": {**TEMPLATE, "spec": CONTAINERS}}, [], id="both"),
    ],
)
def test_a_template_and_a_selector_are_needed(kind, spec, expected):
    """A DaemonSet alone says nothing of a selector that is not there."""
    given = Object(kind.KIND.name, Meta(name="web", namespace="default"), {"spec": spec}, kind.KIND.api)
    problems = [(problem.field.removeprefix("spec."), problem.text) for problem in kind.validate(kind.default(given))]
    missing = [] if "selector" in spec or kind is daemonset else [("selector", "Required value")]
    assert problems == [*missing, *expected]


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"strategy": {"type": "Green"}}, "spec.strategy.type", 'Unsupported value: "Green": supported values: "Recreate", "RollingUpdate"'),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {}}}, "spec.strategy.rollingUpdate", "Forbidden: may not be specified when strategy `type` is 'Recreate'"),
        ({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}, "spec.strategy.rollingUpdate.maxUnavailable", 'Invalid value: "0%": may not be 0 when `maxSurge` is 0'),
        ({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}}, "spec.strategy.rollingUpdate.maxUnavailable", 'Invalid value: "101%": must not be greater than 100%'),
        ({"revisionHistoryLimit": -1}, "spec.revisionHistoryLimit", "Invalid value: -1: must be greater than or equal to 0"),
        ({"progressDeadlineSeconds": 5, "minReadySeconds": 5}, "spec.progressDeadlineSeconds", "Invalid value: 5: must be greater than minReadySeconds"),
    ],
)  # fmt: skip
def test_what_a_deployment_may_not_say(spec, field, text):
    problems = deployment.validate(deployment.default(a_workload("Deployment", **spec)))
    assert [(problem.field, problem.text) for problem in problems] == [(field, text)]


@pytest.mark.parametrize("kind", [replicaset, deployment])
def test_a_selector_stays(kind):
    old = kind.default(a_workload(kind.KIND.name))
    new = old.with_spec(selector={"matchLabels": {"app": "db"}})
    (problem,) = kind.validate_change(new, old, "main")
    said = 'Invalid value: {"matchLabels":{"app":"db"}}: field is immutable'
    assert (problem.field, problem.text) == ("spec.selector", said)


def test_what_a_deployment_says_where_the_user_said_nothing():
    spec = deployment.default(a_workload("Deployment")).spec
    assert {name: spec[name] for name in spec if name not in ("selector", "template")} == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    }
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    recreate = deployment.default(a_workload("Deployment", strategy={"type": "Recreate"}))
    assert recreate.spec["strategy"] == {"type": "Recreate"}


def test_columns():
    status = {"replicas": 4, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}
    cells = {}
    for kind in (replicaset, deployment):
        obj = kind.default(a_workload(kind.KIND.name, replicas=4)).with_body(status=status)
        cells[kind.KIND.name] = [column.cell(obj, NOW_S) for column in kind.KIND.columns]
    assert cells == {
        "ReplicaSet": ["web", 4, 4, 2, "<unknown>", "www", "nginx", "app=web"],
        "Deployment": ["web", "2/4", 3, 1, "<unknown>", "www", "nginx", "app=web"],
    }


# -- DaemonSet, ControllerRevision -------------------------------------------------------------------------------------


def rolling(**said):
    return {"updateStrategy": {"rollingUpdate": said}}


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"selector": {}}, "spec.selector", "Invalid value: {}: empty selector is invalid for daemonset"),
        ({"updateStrategy": {"type": "Recreate"}}, "spec.updateStrategy.type", 'Unsupported value: "Recreate": supported values: "RollingUpdate", "OnDelete"'),
        (rolling(maxUnavailable=0), "spec.updateStrategy.rollingUpdate.maxUnavailable", "Required value: cannot be 0 when maxSurge is 0"),
        (rolling(maxUnavailable=1, maxSurge=1), "spec.updateStrategy.rollingUpdate.maxSurge", "Invalid value: 1: may not be set when maxUnavailable is non-zero"),
        (rolling(maxUnavailable="200%"), "spec.updateStrategy.rollingUpdate.maxUnavailable", 'Invalid value: "200%": must not be greater than 100%'),
        ({"minReadySeconds": -1}, "spec.minReadySeconds", "Invalid value: -1: must be greater than or equal to 0"),
        ({"template": {**TEMPLATE, "spec": {**CONTAINERS, "activeDeadlineSeconds": 5}}}, "spec.template.spec.activeDeadlineSeconds", "Forbidden: activeDeadlineSeconds in DaemonSet is not Supported"),
    ],
)  # fmt: skip
def test_what_a_daemon_set_may_not_say(spec, field, text):
    problems = daemonset.validate(daemonset.default(a_workload("DaemonSet", **spec)))
    assert [(problem.field, problem.text) for problem in problems] == [(field, text)]


def test_a_daemon_set():
    daemons = daemonset.default(a_workload("DaemonSet"))
    assert daemons.spec["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
    }
    status = {
        "desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3, "updatedNumberScheduled": 2,
        "numberAvailable": 1,
    }  # fmt: skip
    cells = [column.cell(daemons.with_body(status=status), NOW_S) for column in daemonset.KIND.columns]
    assert cells == ["web", 5, 4, 3, 2, 1, "<none>", "<unknown>", "www", "nginx", "app=web"]


def test_a_revision_is_made_once():
    owner = Owner("apps/v1", "DaemonSet", "agent", "u")
    old = Object(
        "ControllerRevision", Meta(name="a", owners=(owner,)), {"data": {"spec": {}}, "revision": 3}, "apps/v1"
    )
    assert [column.cell(old, NOW_S) for column in controllerrevision.KIND.columns][:3] == [
        "a",
        "daemonset.apps/agent",
        3,
    ]
    (problem,) = controllerrevision.validate_change(old.with_body(data={"spec": {"x": 1}}), old, "main")
    assert (problem.field, problem.text) == ("data", 'Invalid value: {"spec":{"x":1}}: field is immutable')
    assert controllerrevision.validate_change(old.with_body(revision=4), old, "main") == []
    (problem,) = controllerrevision.validate(controllerrevision.default(old.with_body(data=None)))
    assert problem.text == "Required value: data is mandatory"


# -- StatefulSet -------------------------------------------------------------------------------------------------------

CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
POLICY = "spec.persistentVolumeClaimRetentionPolicy"
MOUNTED = {"containers": [{"name": "a", "image": "b", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"selector": {}}, "spec.selector", "Invalid value: {}: empty selector is invalid for statefulset"),
        ({"replicas": -1}, "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ({"ordinals": {"start": -1}}, "spec.ordinals.start", "Invalid value: -1: must be greater than or equal to 0"),
        ({"podManagementPolicy": "Random"}, "spec.podManagementPolicy", "Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'"),
        ({"updateStrategy": {"type": "Recreate"}}, "spec.updateStrategy", "Invalid value: {\"type\":\"Recreate\"}: must be 'RollingUpdate' or 'OnDelete'"),
        ({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}}, "spec.updateStrategy.rollingUpdate", "Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'"),
        (rolling(partition=-1), "spec.updateStrategy.rollingUpdate.partition", "Invalid value: -1: must be greater than or equal to 0"),
        (rolling(maxUnavailable=0), "spec.updateStrategy.rollingUpdate.maxUnavailable", "Invalid value: 0: cannot be 0"),
        ({"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Keep"}}, f"{POLICY}.whenScaled", 'Unsupported value: "Keep": supported values: "Retain", "Delete"'),
        ({"volumeClaimTemplates": [{**CLAIM, "metadata": {}}]}, "spec.volumeClaimTemplates[0].metadata.name", "Required value"),
        ({"volumeClaimTemplates": [CLAIM, CLAIM]}, "spec.volumeClaimTemplates[1].metadata.name", 'Duplicate value: "data"'),
        ({"volumeClaimTemplates": [{**CLAIM, "spec": {**CLAIM["spec"], "accessModes": []}}]}, "spec.volumeClaimTemplates[0].spec.accessModes", "Required value: at least 1 access mode is required"),
        ({"template": {**TEMPLATE, "spec": MOUNTED}}, "spec.template.spec.containers[0].volumeMounts[0].name", 'Not found: "data"'),
    ],
)  # fmt: skip
def test_what_a_stateful_set_may_not_say(spec, field, text):
    problems = statefulset.validate(statefulset.default(a_workload("StatefulSet", **spec)))
    assert [(problem.field, problem.text) for problem in problems] == [(field, text)]


def test_what_a_stateful_set_says_where_the_user_said_nothing():
    given = {"template": {**TEMPLATE, "spec": MOUNTED}, "volumeClaimTemplates": [CLAIM]}
    stateful = statefulset.default(a_workload("StatefulSet", **given))
    assert statefulset.validate(stateful) == []
    said = {name: value for name, value in stateful.spec.items() if name not in ("selector", "template")}
    assert said == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "volumeClaimTemplates": [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "status": {"phase": "Pending"},
                "metadata": {"name": "data"},
                "spec": {**CLAIM["spec"], "volumeMode": "Filesystem"},
            }
        ],
    }
    cells = [column.cell(stateful.with_body(status={"readyReplicas": 1}), NOW_S) for column in statefulset.KIND.columns]
    assert cells == ["web", "1/1", "<unknown>", "a", "b"]


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"replicas": 5}, True),
        ({"minReadySeconds": 5}, True),
        ({"ordinals": {"start": 5}}, True),
        ({"serviceName": "other"}, False),
        ({"podManagementPolicy": "Parallel"}, False),
        ({"volumeClaimTemplates": [CLAIM]}, False),
        ({"selector": {"matchLabels": {"app": "web", "x": "y"}}}, False),
    ],
)
def test_what_of_a_stateful_set_may_change(change, allowed):
    old = statefulset.default(a_workload("StatefulSet"))
    problems = statefulset.validate_change(old.with_spec(**change), old, "main")
    assert [problem.field for problem in problems] == ([] if allowed else ["spec"])
    if problems:
        assert problems[0].text.endswith("'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")


# -- PodTemplate -------------------------------------------------------------------------------------------------------


def test_a_pod_template():
    kept = podtemplate.default(Object("PodTemplate", Meta(name="x"), {"template": {**TEMPLATE, "spec": CONTAINERS}}))
    assert podtemplate.validate(kept) == []
    assert kept.body["template"]["spec"]["restartPolicy"] == "Always"
    assert [column.cell(kept, NOW_S) for column in podtemplate.KIND.columns] == ["x", "a", "b", "app=web"]
    (problem,) = podtemplate.validate(podtemplate.default(kept.with_body(template={"spec": {}})))
    assert (problem.field, problem.text) == ("template.spec.containers", "Required value")
