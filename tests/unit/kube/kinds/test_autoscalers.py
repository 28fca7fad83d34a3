"""HorizontalPodAutoscalers: what is filled in, what is refused, and what another version reads of them."""

import json

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds import autoscalerv1
from coracle.kube.kinds import horizontalpodautoscaler as scalers

REF = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def made(**spec):
    body = {"spec": {"scaleTargetRef": REF, "maxReplicas": 3, **spec}}
    return scalers.default(Object("HorizontalPodAutoscaler", Meta("web", "default"), body, "autoscaling/v2"))


def resource(name="cpu", **target):
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def test_what_is_filled_in():
    spec = made(behavior={"scaleDown": {"stabilizationWindowSeconds": 5}}).spec
    assert spec["minReplicas"] == 1
    assert spec["metrics"] == [resource(type="Utilization", averageUtilization=80)]
    assert spec["behavior"]["scaleDown"]["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert "behavior" not in made().spec


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        ({"minReplicas": 0}, "spec.minReplicas", "must be greater than or equal to 1"),
        ({"maxReplicas": 0}, "spec.maxReplicas", "must be greater than 0"),
        ({"minReplicas": 4}, "spec.maxReplicas", "must be greater than or equal to `minReplicas`"),
        ({"scaleTargetRef": {"kind": "Deployment"}}, "spec.scaleTargetRef.name", "Required value"),
        ({"metrics": [{"type": "Moon"}]}, "spec.metrics[0].type", "Unsupported value"),
        ({"metrics": [{"type": "Pods"}]}, "spec.metrics[0].pods", "must populate information"),
        ({"metrics": [resource(type="Utilization")]}, "spec.metrics[0].resource.target.averageUtilization", "must set either"),
        ({"metrics": [resource(type="Utilization", averageUtilization=0)]},
         "spec.metrics[0].resource.target.averageUtilization", "must be greater than 0"),
        ({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601}}},
         "spec.behavior.scaleUp.stabilizationWindowSeconds", "must be less than or equal to 3600"),
        ({"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1801}]}}},
         "spec.behavior.scaleUp.policies[0].periodSeconds", "must be less than or equal to 1800"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("spec") else "",
)  # fmt: skip
def test_what_is_refused(spec, field, said):
    problems = scalers.validate(made(**spec))
    assert any(problem.field == field and said in problem.text for problem in problems), problems


def test_the_older_version_loses_nothing():
    metrics = [
        resource(type="Utilization", averageUtilization=50),
        resource("memory", type="AverageValue", averageValue="1Mi"),
    ]
    stored = made(metrics=metrics, behavior={"scaleUp": {"selectPolicy": "Min"}})
    conditions = [{"type": "AbleToScale", "status": "True"}]
    current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7}}}]
    stored = stored.with_body(
        status={"currentReplicas": 2, "desiredReplicas": 0, "currentMetrics": current, "conditions": conditions}
    )
    shown = autoscalerv1.shown(stored)
    assert shown.api == "autoscaling/v1"
    assert shown.spec == {
        "scaleTargetRef": REF, "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
    }  # fmt: skip
    assert shown.status == {"currentReplicas": 2, "desiredReplicas": 0, "currentCPUUtilizationPercentage": 7}
    kept = autoscalerv1.kept(shown)
    assert (kept.api, kept.meta, kept.spec) == (stored.api, stored.meta, stored.spec)
    assert kept.status == stored.status


@pytest.mark.parametrize(
    ("status", "expected"),
    [({}, "cpu: <unknown>/80%"), ({"resource": {"current": {"averageUtilization": 12}}}, "cpu: 12%/80%")],
)
def test_how_targets_are_printed(status, expected):
    scaler = made().with_body(status={"currentMetrics": [status]})
    assert scalers.targets(scaler) == expected


@pytest.mark.parametrize("told", ["5", "[5]", '"x"', '{"a": 1}', '[{"type": 7}]', "[", ""])
def test_annotations_of_the_older_version_that_fit_nowhere_say_nothing(told):
    names = ("metrics", "behavior", "current-metrics", "conditions")
    noted = {f"autoscaling.alpha.kubernetes.io/{name}": told for name in names}
    body = {"spec": {"scaleTargetRef": REF, "maxReplicas": 3}}
    kept = autoscalerv1.kept(Object("HorizontalPodAutoscaler", Meta("web", "default", annotations=noted), body))
    assert kept.meta.annotations == {}
    assert not kept.spec.get("metrics")
    assert not kept.status.get("currentMetrics")
    assert kept.status["conditions"] == []


def test_amounts_in_annotations_of_the_older_version_are_kept_as_all_are():
    told = '[{"type": "Resource", "resource": {"name": "cpu", "targetAverageValue": 0.5}}]'
    meta = Meta("web", "default", annotations={"autoscaling.alpha.kubernetes.io/metrics": told})
    kept = autoscalerv1.kept(Object("HorizontalPodAutoscaler", meta, {"spec": {"maxReplicas": 3}}))
    assert kept.spec["metrics"] == [resource(type="AverageValue", averageValue="500m")]


HITS = {"name": "hits", "selector": {"matchLabels": {"verb": "GET"}}}
WEB = {"kind": "Service", "name": "web", "apiVersion": "v1"}
OLDER = [
    (
        {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 9}}},
        {"type": "Resource", "resource": {"name": "memory", "targetAverageUtilization": 9}},
    ),
    (
        {"type": "ContainerResource", "containerResource": {
            "name": "cpu", "container": "app", "target": {"type": "AverageValue", "averageValue": "20m"}}},
        {"type": "ContainerResource", "containerResource": {
            "name": "cpu", "container": "app", "targetAverageValue": "20m"}},
    ),
    (
        {"type": "Pods", "pods": {"metric": HITS, "target": {"type": "AverageValue", "averageValue": "5"}}},
        {"type": "Pods", "pods": {"metricName": "hits", "selector": HITS["selector"], "targetAverageValue": "5"}},
    ),
    (
        {"type": "Object", "object": {
            "describedObject": WEB, "metric": {"name": "hits"}, "target": {"type": "Value", "value": "8"}}},
        {"type": "Object", "object": {"target": WEB, "metricName": "hits", "targetValue": "8"}},
    ),
    (
        {"type": "Object", "object": {
            "describedObject": WEB, "metric": HITS, "target": {"type": "AverageValue", "averageValue": "3"}}},
        {"type": "Object", "object": {
            "target": WEB, "metricName": "hits", "selector": HITS["selector"], "averageValue": "3",
            "targetValue": "0"}},
    ),
    (
        {"type": "External", "external": {"metric": HITS, "target": {"type": "Value", "value": "4"}}},
        {"type": "External", "external": {
            "metricName": "hits", "metricSelector": HITS["selector"], "targetValue": "4"}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "older"), OLDER, ids=lambda metric: metric["type"])
def test_metrics_are_written_in_the_older_versions_own_shape(ours, older):
    found = [{**ours, next(key for key in ours if key != "type"): _as_current(ours)}]
    stored = made(metrics=[ours]).with_body(status={"currentMetrics": found, "conditions": []})
    shown = autoscalerv1.shown(stored)
    told = {name.rpartition("/")[2]: json.loads(text) for name, text in shown.meta.annotations.items()}
    assert told["metrics"] == [older]
    assert told["current-metrics"] == [json.loads(json.dumps(older).replace('"targetV', '"currentV').replace(
        '"targetA', '"currentA'))]  # fmt: skip
    kept = autoscalerv1.kept(shown)
    assert kept.spec["metrics"] == [ours]
    assert kept.status["currentMetrics"] == found


def _as_current(metric):
    source = dict(next(value for key, value in metric.items() if key != "type"))
    amounts = {name: value for name, value in source.pop("target").items() if name != "type"}
    return {**source, "current": amounts}
