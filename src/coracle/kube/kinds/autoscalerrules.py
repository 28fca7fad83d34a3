"""What a HorizontalPodAutoscaler may ask for, each rule in Kubernetes' words.

Source: Kubernetes autoscaling/v2 API; its validation's messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import forbidden, invalid, required
from coracle.core.kind import Problems
from coracle.core.quantity import parse
from coracle.kube.kinds.rules import unsupported

Given = Mapping[str, Any]
SOURCES = {
    "ContainerResource": "containerResource", "External": "external", "Object": "object", "Pods": "pods",
    "Resource": "resource",
}  # fmt: skip
LONGEST_WINDOW_S, LONGEST_PERIOD_S = 3600, 1800
_POPULATE = "must populate information for the given metric source"


def spec_problems(spec: Given) -> Problems:
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    problems: Problems = []
    if least is not None and least < 1:
        problems.append(invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        problems.append(invalid("spec.maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        problems.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    problems += _reference("spec.scaleTargetRef", spec.get("scaleTargetRef") or {})
    for index, metric in enumerate(spec.get("metrics") or ()):
        problems += metric_problems(f"spec.metrics[{index}]", metric)
    for name, rules in (spec.get("behavior") or {}).items():
        problems += _rules(f"spec.behavior.{name}", rules or {})
    return problems


def _reference(at: str, reference: Given) -> Problems:
    return [required(f"{at}.{name}") for name in ("kind", "name") if not reference.get(name)]


def metric_problems(at: str, metric: Given) -> Problems:
    type, present = metric.get("type") or "", [name for name in SOURCES.values() if metric.get(name) is not None]
    if not type:
        return [required(f"{at}.type", "must specify a metric source type")]
    if type not in SOURCES:
        return [unsupported(f"{at}.type", type, tuple(SOURCES))]
    expected = SOURCES[type]
    if expected not in present:
        return [required(f"{at}.{expected}", _POPULATE)]
    problems = [
        forbidden(f"{at}.{name}", "must populate the given metric source only") for name in present if name != expected
    ]
    return problems + _SOURCE_RULES[type](f"{at}.{expected}", metric[expected])


def _resource(at: str, source: Given) -> Problems:
    target = source.get("target") or {}
    problems = [] if source.get("name") else [required(f"{at}.name", "must specify a resource name")]
    problems += _target(f"{at}.target", target)
    average, value = target.get("averageUtilization"), target.get("averageValue")
    if average is None and value is None:
        said = "must set either a target raw value or a target utilization"
        problems.append(required(f"{at}.target.averageUtilization", said))
    if average is not None and value is not None:
        said = "may not set both a target raw value and a target utilization"
        problems.append(forbidden(f"{at}.target.averageValue", said))
    return problems


def _container(at: str, source: Given) -> Problems:
    problems = [] if source.get("container") else [required(f"{at}.container", "must specify a container")]
    return problems + _resource(at, source)


def _pods(at: str, source: Given) -> Problems:
    target = source.get("target") or {}
    problems = _metric(f"{at}.metric", source.get("metric") or {}) + _target(f"{at}.target", target)
    positive = target.get("averageValue") is not None
    return problems + ([] if positive else [required(f"{at}.target.averageValue", "must specify a positive target")])


def _value(at: str, source: Given) -> Problems:
    target = source.get("target") or {}
    problems = _metric(f"{at}.metric", source.get("metric") or {}) + _target(f"{at}.target", target)
    if target.get("value") is None and target.get("averageValue") is None:
        said = "must set either a target value for metric or a per-pod target"
        problems.append(required(f"{at}.target.averageValue", said))
    return problems


def _object(at: str, source: Given) -> Problems:
    return _reference(f"{at}.describedObject", source.get("describedObject") or {}) + _value(at, source)


_SOURCE_RULES = {
    "ContainerResource": _container, "External": _value, "Object": _object, "Pods": _pods, "Resource": _resource,
}  # fmt: skip


def _metric(at: str, metric: Given) -> Problems:
    return [] if metric.get("name") else [required(f"{at}.name", "must specify a metric name")]


def _target(at: str, target: Given) -> Problems:
    problems: Problems = []
    type = target.get("type") or ""
    if not type:
        problems.append(required(f"{at}.type", "must specify a metric target type"))
    elif type not in ("Utilization", "Value", "AverageValue"):
        problems.append(invalid(f"{at}.type", type, "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        if target.get(name) is not None:
            problems += _positive(f"{at}.{name}", target[name])
    average = target.get("averageUtilization")
    if average is not None and average < 1:
        problems.append(invalid(f"{at}.averageUtilization", average, "must be greater than 0"))
    return problems


def _positive(at: str, value: Any) -> Problems:
    try:
        amount = parse(value)
    except ValueError as error:
        return [invalid(at, value, str(error))]
    return [] if amount.nano > 0 else [invalid(at, str(amount), "must be positive")]


def _rules(at: str, rules: Given) -> Problems:
    problems = _window(f"{at}.stabilizationWindowSeconds", rules.get("stabilizationWindowSeconds"))
    chosen = rules.get("selectPolicy")
    if chosen is not None and chosen not in ("Max", "Min", "Disabled"):
        problems.append(unsupported(f"{at}.selectPolicy", chosen, ("Disabled", "Max", "Min")))
    if not rules.get("policies"):
        problems.append(required(f"{at}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(rules.get("policies") or ()):
        problems += _policy(f"{at}.policies[{index}]", policy)
    tolerance = rules.get("tolerance")
    if tolerance is not None and not _is_amount(tolerance):
        problems.append(invalid(f"{at}.tolerance", tolerance, "must be greater than or equal to 0"))
    return problems


def _is_amount(value: Any) -> bool:
    try:
        return parse(value).nano >= 0
    except ValueError:
        return False


def _window(at: str, seconds_s: int | None) -> Problems:
    if seconds_s is None:
        return []
    if seconds_s < 0:
        return [invalid(at, seconds_s, "must be greater than or equal to zero")]
    return _no_longer(at, seconds_s, LONGEST_WINDOW_S)


def _policy(at: str, policy: Given) -> Problems:
    problems: Problems = []
    if policy.get("type") not in ("Pods", "Percent"):
        problems.append(unsupported(f"{at}.type", policy.get("type") or "", ("Percent", "Pods")))
    for name in ("value", "periodSeconds"):
        if (policy.get(name) or 0) <= 0:
            problems.append(invalid(f"{at}.{name}", policy.get(name) or 0, "must be greater than zero"))
    return problems + _no_longer(f"{at}.periodSeconds", policy.get("periodSeconds") or 0, LONGEST_PERIOD_S)


def _no_longer(at: str, seconds_s: int, longest_s: int) -> Problems:
    return [invalid(at, seconds_s, f"must be less than or equal to {longest_s}")] if seconds_s > longest_s else []
