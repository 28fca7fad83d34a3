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
    """A metric says nothing; `reason` is the condition's and the event's, `metric` how the whole look calls it."""

    def __init__(self, reason: str, message: str, metric: str) -> None:
        super().__init__(message)
        self.reason, self.metric = reason, metric


@dataclass(frozen=True, slots=True)
class Proposal:
    """`name`: how messages call the metric; `status`: a MetricStatus."""

    replicas: int
    name: str
    status: Json


@dataclass(frozen=True, slots=True)
class View:
    """What there is to judge by: how many pods are asked for now, those of the selector, what was measured of them."""

    namespace: str
    present: int
    pods: Sequence[Object]
    measured: Mapping[str, Measurement]
    now_s: float


def propose(metric: Json, behavior: Json | None, view: View) -> Proposal:
    """Raises NoProposal."""
    type = metric["type"]
    source = metric[SOURCES[type]]
    if type in ("Resource", "ContainerResource"):
        return _resource(type, source, behavior, view)
    name, reason = source["metric"]["name"], f"FailedGet{type}Metric"
    if type == "External":
        asked = f"{view.namespace}/{name}/{_go_selector(source['metric'].get('selector'))}"
        raise NoProposal(reason, f"unable to get external metric {asked}: {_NO_EXTERNAL}", f"{name} external")
    about = source.get("describedObject")
    where = f" on {view.namespace} {about['kind']}/{about['name']}" if about else ""
    raise NoProposal(reason, f"unable to get metric {name}: {_NO_CUSTOM}{where}", type.lower())


def _go_selector(selector: Json | None) -> str:
    """A metav1.LabelSelector as Go prints it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    needs = "".join(map(_go_need, selector.get("matchExpressions") or ()))
    listed = f"MatchExpressions:[]LabelSelectorRequirement{{{needs}}}"
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},{listed},}}"


def _go_need(need: Json) -> str:
    values = " ".join(need.get("values") or ())
    return f"LabelSelectorRequirement{{Key:{need['key']},Operator:{need['operator']},Values:[{values}],}},"


def _resource(type: str, source: Json, behavior: Json | None, view: View) -> Proposal:
    goal = goal_of(source, behavior)
    name = f"{goal.resource} resource"
    try:
        if not view.pods:
            raise Unmeasured("no pods returned by selector while calculating replica count")
        verdict = replicas(goal, view.present, view.pods, view.measured, view.now_s)
    except Unmeasured as error:
        what = "utilization" if goal.percent is not None else "usage"
        said = f"failed to get {goal.resource} {what}: {error}"
        metric = f"{goal.container} container" if goal.container else name
        raise NoProposal(f"FailedGet{type}Metric", said, metric) from error
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
