"""What a HorizontalPodAutoscaler's metrics say: the number of pods that each asks for, and what is shown of it.

Resources of pods are measured here; metrics of other sources nobody gives, and is told so.

Source: Kubernetes autoscaling/v2 API, MetricSpec and MetricStatus; the controller's reasons and messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coracle.core.object import Json, Object
from coracle.core.quantity import Quantity, parse
from coracle.kube.controllers.autoscaling.use import TOLERANCE, Goal, Unmeasured, Verdict, replicas
from coracle.kube.kinds.autoscalerrules import SOURCES
from coracle.kube.kinds.metrics import Measurement

_NO_CUSTOM = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
_NO_EXTERNAL = (
    "unable to fetch metrics from external metrics API: no external metrics API (external.metrics.k8s.io) registered"
)


class NoProposal(Exception):
    """A metric says nothing; `reason` is the condition's and the event's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Proposal:
    """`name`: how messages call the metric; `status`: a MetricStatus."""

    replicas: int
    name: str
    status: Json


@dataclass(frozen=True, slots=True)
class View:
    """What there is to judge by: how many pods are asked for now, those of the selector, what was measured of them."""

    present: int
    pods: Sequence[Object]
    measured: Mapping[str, Measurement]
    now_s: float


def propose(metric: Json, behavior: Json | None, view: View) -> Proposal:
    """Raises NoProposal."""
    type = metric["type"]
    source = metric[SOURCES[type]]
    match type:
        case "Resource" | "ContainerResource":
            return _resource(type, source, behavior, view)
        case "Pods" | "Object":
            said = f"unable to get metric {source['metric']['name']}: {_NO_CUSTOM}"
            raise NoProposal(f"FailedGet{type}Metric", f"failed to get {type.lower()} metric value: {said}")
    said = f"unable to get external metric {source['metric']['name']}: {_NO_EXTERNAL}"
    raise NoProposal("FailedGetExternalMetric", f"failed to get external metric value: {said}")


def _resource(type: str, source: Json, behavior: Json | None, view: View) -> Proposal:
    goal = goal_of(source, behavior)
    name = f"{goal.resource} container resource" if goal.container else f"{goal.resource} resource"
    try:
        if not view.pods:
            raise Unmeasured("no pods returned by selector while calculating replica count")
        verdict = replicas(goal, view.present, view.pods, view.measured, view.now_s)
    except Unmeasured as error:
        what = "utilization" if goal.percent is not None else "usage"
        said = f"failed to get {goal.resource} {what}: {error}"
        raise NoProposal(f"FailedGet{type}Metric", said) from error
    if goal.percent is not None:
        name += " utilization (percentage of request)"
    field = SOURCES[type]
    status = {"name": goal.resource, **({"container": goal.container} if goal.container else {})}
    return Proposal(verdict.replicas, name, {"type": type, field: {**status, "current": _current(verdict)}})


def _current(verdict: Verdict) -> Json:
    average = {"averageValue": str(Quantity(verdict.average_milli * 10**6))}
    return average if verdict.percent is None else {"averageUtilization": verdict.percent, **average}


def goal_of(source: Json, behavior: Json | None) -> Goal:
    target, rules = source["target"], behavior or {}
    tolerances = [_tolerance(rules.get(name) or {}) for name in ("scaleDown", "scaleUp")]
    each = target.get("averageValue")
    return Goal(
        source["name"],
        percent=target.get("averageUtilization"),
        each_milli=parse(each).milli if each is not None else None,
        container=source.get("container") or "",
        tolerances=(tolerances[0], tolerances[1]),
    )


def _tolerance(rules: Json) -> float:
    given = rules.get("tolerance")
    return TOLERANCE if given is None else parse(given).nano / 1e9
