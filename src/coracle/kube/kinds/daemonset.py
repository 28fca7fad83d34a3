"""DaemonSet: one pod of a template on every node that it fits.

Source: Kubernetes apps/v1 API, DaemonSetSpec; printed columns as `kubectl get daemonsets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import invalid, required
from coracle.core.kind import Column, Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds import counts, printing, workloads
from coracle.kube.kinds.blanks import absent, blank
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import not_negative, unsupported

ROLLING, ON_DELETE = "RollingUpdate", "OnDelete"
_ROLLING = "spec.updateStrategy.rollingUpdate"


def default(daemons: Object) -> Object:
    spec = workloads.with_template(daemons.body.get("spec"), revisionHistoryLimit=10)
    strategy = blank(spec.get("updateStrategy"), type=ROLLING)
    if strategy["type"] == ROLLING:
        strategy["rollingUpdate"] = absent(strategy.get("rollingUpdate"), maxUnavailable=1, maxSurge=0)
    return daemons.with_body(spec={**spec, "updateStrategy": strategy})


def assign(daemons: Object, old: Object | None, _reader: Reader) -> Object:
    """A new one has nothing anywhere."""
    names = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    return daemons.with_body(status=dict.fromkeys(names, 0)) if old is None else daemons


def validate(daemons: Object) -> Problems:
    spec = daemons.spec
    problems: Problems = []
    if spec.get("selector") is not None:
        problems += workloads.selector_problems(spec, "empty selector is invalid for daemonset")
    problems += workloads.own_template(spec, "DaemonSet")
    problems += not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    problems += not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    strategy = spec["updateStrategy"]
    if strategy["type"] == ROLLING:
        return problems + _rolling(strategy["rollingUpdate"])
    if strategy["type"] == ON_DELETE:
        return problems
    return [*problems, unsupported("spec.updateStrategy.type", strategy["type"], (ROLLING, ON_DELETE))]


def _rolling(given: Mapping[str, Any]) -> Problems:
    unavailable, surge = given["maxUnavailable"], given["maxSurge"]
    problems = workloads.portion(f"{_ROLLING}.maxUnavailable", unavailable)
    problems += workloads.at_most_all(f"{_ROLLING}.maxUnavailable", unavailable)
    problems += workloads.portion(f"{_ROLLING}.maxSurge", surge) + workloads.at_most_all(f"{_ROLLING}.maxSurge", surge)
    both = workloads.is_nothing(unavailable), workloads.is_nothing(surge)
    if both == (False, False):
        problems.append(invalid(f"{_ROLLING}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    if both == (True, True):
        problems.append(required(f"{_ROLLING}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return problems


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return counts.DAEMONS.problems(new, old) if part == "status" else workloads.same_selector(new, old)


def _told(heading: str, name: str) -> Column:
    return printing.number(heading, lambda daemons: daemons.status.get(name, 0))


def _node_selector(daemons: Object) -> str:
    template = daemons.spec.get("template") or {}
    return printing.labels((template.get("spec") or {}).get("nodeSelector"))


KIND = Kind(
    name="DaemonSet",
    plural="daemonsets",
    api="apps/v1",
    singular="daemonset",
    short=("ds",),
    categories=("all",),
    schema=schema("apps/v1", "DaemonSet"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        _told("Desired", "desiredNumberScheduled"),
        _told("Current", "currentNumberScheduled"),
        _told("Ready", "numberReady"),
        _told("Up-to-date", "updatedNumberScheduled"),
        _told("Available", "numberAvailable"),
        printing.text("Node Selector", _node_selector),
        printing.AGE,
        *workloads.template_columns(),
        workloads.SELECTOR,
    ),
    subresources=frozenset(("status",)),
    loop="coracle.kube.controllers.daemons.loop:Daemons",
)
