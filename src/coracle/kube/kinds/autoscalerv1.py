"""HorizontalPodAutoscaler as autoscaling/v1 knows it: one goal, for the processor; the rest travels in annotations.

It is stored as autoscaling/v2, whatever it was written as.

Source: Kubernetes autoscaling/v1 API, HorizontalPodAutoscalerSpec, MetricSpec, MetricStatus and the annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import orjson

from coracle.core.object import Json, Object
from coracle.core.schema import Schema
from coracle.kube.kinds import horizontalpodautoscaler as v2
from coracle.kube.kinds.definitions import schema

API = "autoscaling/v1"
_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _BEHAVIOR = f"{_PREFIX}metrics", f"{_PREFIX}behavior"
_CURRENT, _CONDITIONS = f"{_PREFIX}current-metrics", f"{_PREFIX}conditions"
_STORED = schema(v2.KIND.api, v2.KIND.name)
_PLACES = {
    _METRICS: ("spec", "metrics"),
    _BEHAVIOR: ("spec", "behavior"),
    _CURRENT: ("status", "currentMetrics"),
    _CONDITIONS: ("status", "conditions"),
}
_PERCENT, _CURRENT_PERCENT = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"
_SELECTORS = {"external": "metricSelector"}
_TYPES = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
_SAME = ("currentReplicas", "desiredReplicas", "lastScaleTime", "observedGeneration")


def shown(stored: Object) -> Object:
    """As a client of autoscaling/v1 reads it."""
    spec = {name: value for name, value in stored.spec.items() if name not in ("metrics", "behavior")}
    status: Json = {"currentReplicas": 0, "desiredReplicas": 0}
    status |= {name: stored.status[name] for name in _SAME if name in stored.status}
    rest: dict[str, Any] = {_BEHAVIOR: stored.spec.get("behavior"), _CONDITIONS: stored.status.get("conditions")}
    metrics, current = stored.spec.get("metrics") or (), stored.status.get("currentMetrics") or ()
    percent = next((_percent(metric) for metric in metrics if _percent(metric) is not None), None)
    if percent is not None:
        spec[_PERCENT] = percent
    used = next((_used(metric) for metric in current if _used(metric) is not None), None)
    if used is not None:
        status[_CURRENT_PERCENT] = used
    rest[_METRICS] = [_flat(metric, "target") for metric in metrics if _percent(metric) is None]
    rest[_CURRENT] = [_flat(metric, "current") for metric in current if _used(metric) is None]
    more = {name: orjson.dumps(value).decode() for name, value in rest.items() if value}
    meta = replace(stored.meta, annotations={**stored.meta.annotations, **more})
    return Object(stored.kind, meta, {**stored.body, "spec": spec, "status": status}, API)


def kept(given: Object) -> Object:
    """As it is stored."""
    spec = {name: value for name, value in given.spec.items() if name != _PERCENT}
    status: Json = {name: given.status[name] for name in _SAME if name in given.status}
    told = {name: value for name, value in given.meta.annotations.items() if name.startswith(_PREFIX)}
    percent, used = given.spec.get(_PERCENT), given.status.get(_CURRENT_PERCENT)
    metrics = [_cpu("target", {"type": "Utilization", "averageUtilization": percent})] if percent is not None else []
    metrics += _read(told, _METRICS, lambda metric: _deep(metric, "target")) or []
    if metrics:
        spec["metrics"] = metrics
    behavior = _read(told, _BEHAVIOR)
    if behavior:
        spec["behavior"] = behavior
    current = [_cpu("current", {"averageUtilization": used})] if used is not None else []
    current += _read(told, _CURRENT, lambda metric: _deep(metric, "current")) or []
    status["currentMetrics"] = current or None
    status["conditions"] = _read(told, _CONDITIONS) or []
    own = {name: value for name, value in given.meta.annotations.items() if not name.startswith(_PREFIX)}
    meta = replace(given.meta, annotations=own)
    return Object(given.kind, meta, {**given.body, "spec": spec, "status": status}, v2.KIND.api)


def _cpu(field: str, value: Json) -> Json:
    return {"type": "Resource", "resource": {"name": "cpu", field: value}}


def _percent(metric: Json) -> int | None:
    source = metric.get("resource") or {}
    percent: int | None = (source.get("target") or {}).get("averageUtilization")
    return percent if source.get("name") == "cpu" else None


def _used(metric: Json) -> int | None:
    source = metric.get("resource") or {}
    percent: int | None = (source.get("current") or {}).get("averageUtilization")
    return percent if source.get("name") == "cpu" else None


def _flat(metric: Json, what: str) -> Json:
    """A metric of autoscaling/v2 as autoscaling/v1 writes it: what is asked for (`target`) or was found (`current`)."""
    place = _place(metric)
    source = metric.get(place) or {}
    about, amounts = source.get("metric") or {}, source.get(what) or {}
    found: Json = {name: source[name] for name in ("name", "container") if name in source}
    if "describedObject" in source:
        found["target"] = source["describedObject"]
    if about:
        found["metricName"] = about["name"]
    if "selector" in about:
        found[_SELECTORS.get(place, "selector")] = about["selector"]
    found |= {name: amounts[ours] for ours, name in _amounts(place, what).items() if ours in amounts}
    if place == "object":
        found.setdefault(f"{what}Value", "0")
    return {"type": metric["type"], place: found}


def _deep(metric: Json, what: str) -> Json:
    """The same the other way."""
    place = _place(metric)
    source = metric.get(place) or {}
    amounts = {ours: source[name] for ours, name in _amounts(place, what).items() if name in source}
    if place == "object" and "averageValue" in amounts:
        amounts.pop("value", None)
    if what == "target":
        amounts["type"] = next((type for ours, type in _TYPES.items() if ours in amounts), "")
    found: Json = {name: source[name] for name in ("name", "container") if name in source}
    if "target" in source:
        found["describedObject"] = source["target"]
    if "metricName" in source:
        selector = source.get(_SELECTORS.get(place, "selector"))
        found["metric"] = {"name": source["metricName"], **({"selector": selector} if selector else {})}
    return {"type": metric.get("type", ""), place: {**found, what: amounts}}


def _place(metric: Json) -> str:
    type = str(metric.get("type") or "")
    return type[:1].lower() + type[1:]


def _amounts(place: str, what: str) -> Mapping[str, str]:
    """What amounts are called, by what autoscaling/v2 calls them."""
    average = "averageValue" if place == "object" else f"{what}AverageValue"
    return {"averageUtilization": f"{what}AverageUtilization", "averageValue": average, "value": f"{what}Value"}


def _read(annotations: Mapping[str, str], name: str, deep: Callable[[Json], Json] | None = None) -> Any:
    """What an annotation says; nothing where that fits nowhere: it is for us to write."""
    shape = reduce(Schema.child, _PLACES[name], _STORED)
    try:
        found = orjson.loads(annotations.get(name) or "null")
    except orjson.JSONDecodeError:
        return None
    if deep is not None:
        items = found if isinstance(found, list) else []
        found = [deep(item) for item in items if isinstance(item, dict) and isinstance(item.get(_place(item)), dict)]
    return None if found is None or shape.check(found) else shape.clean(found)


KIND = replace(v2.KIND, api=API, schema=schema(API, "HorizontalPodAutoscaler"), shown=shown, kept=kept)
