"""HorizontalPodAutoscaler: as many pods of something as its use asks for.

Source: Kubernetes autoscaling/v2 API; printed columns as `kubectl get hpa`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.autoscalerrules import SOURCES, spec_problems
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema

UNKNOWN = "<unknown>"
USUAL_PERCENT = 80
_USUAL: Json = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": USUAL_PERCENT}}
_DOUBLE: Json = {"type": "Percent", "value": 100, "periodSeconds": 15}
_UP: Json = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _DOUBLE],
}
_DOWN: Json = {"selectPolicy": "Max", "policies": [_DOUBLE]}


def default(scaler: Object) -> Object:
    spec = absent(scaler.body.get("spec"), minReplicas=1)
    if not spec.get("metrics"):
        spec["metrics"] = [{"type": "Resource", "resource": _USUAL}]
    behavior = spec.get("behavior")
    if behavior is not None:
        spec["behavior"] = {
            **behavior,
            "scaleUp": _filled(behavior.get("scaleUp"), _UP),
            "scaleDown": _filled(behavior.get("scaleDown"), _DOWN),
        }
    return scaler.with_body(spec=spec)


def _filled(rules: Mapping[str, Any] | None, usual: Json) -> Json:
    given = absent(rules, **{name: value for name, value in usual.items() if name != "policies"})
    return given if given.get("policies") else {**given, "policies": usual["policies"]}


def assign(scaler: Object, old: Object | None, _reader: Reader) -> Object:
    status: Json = {"desiredReplicas": 0, "currentMetrics": None}
    return scaler.with_body(status=status) if old is None else scaler


def validate(scaler: Object) -> Problems:
    return spec_problems(scaler.spec)


# -- printing --------------------------------------------------------------------------------------------------------


def targets(scaler: Object) -> str:
    """`cpu: 20%/80%, memory: <unknown>/100Mi`, of the first two metrics."""
    metrics: Sequence[Json] = scaler.spec.get("metrics") or ()
    current: Sequence[Json] = scaler.status.get("currentMetrics") or ()
    shown = [_target(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(metrics[:2])]
    more = f" + {len(metrics) - 2} more..." if len(metrics) > 2 else ""
    return ", ".join(shown) + more if shown else printing.NONE


def _target(metric: Json, status: Json) -> str:
    name = SOURCES[metric["type"]]
    target, current = metric[name]["target"], (status.get(name) or {}).get("current") or {}
    if target.get("averageUtilization") is not None:
        percent = current.get("averageUtilization")
        shown = UNKNOWN if percent is None else f"{percent}%"
        return f"{metric[name]['name']}: {shown}/{target['averageUtilization']}%"
    field = "averageValue" if target.get("averageValue") is not None else "value"
    amounts = f"{current.get(field) or UNKNOWN}/{target[field]}"
    if name in ("resource", "containerResource"):
        return f"{metric[name]['name']}: {amounts}"
    return f"{amounts} (avg)" if field == "averageValue" and name != "pods" else amounts


def _reference(scaler: Object) -> str:
    ref = scaler.spec.get("scaleTargetRef") or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


KIND = Kind(
    name="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    api="autoscaling/v2",
    singular="horizontalpodautoscaler",
    short=("hpa",),
    categories=("all",),
    schema=schema("autoscaling/v2", "HorizontalPodAutoscaler"),
    default=default,
    assign=assign,
    validate=validate,
    columns=(
        printing.NAME,
        printing.text("Reference", _reference),
        printing.text("Targets", targets),
        printing.text("MinPods", lambda scaler: str(scaler.spec.get("minReplicas", printing.UNSET))),
        printing.number("MaxPods", lambda scaler: scaler.spec.get("maxReplicas", 0)),
        printing.number("Replicas", lambda scaler: scaler.status.get("currentReplicas") or 0),
        printing.AGE,
    ),
    subresources=frozenset(("status",)),
    counts_generations=False,
    loop="coracle.kube.controllers.autoscaling.loop:Autoscalers",
)
