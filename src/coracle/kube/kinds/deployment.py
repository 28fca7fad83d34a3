"""Deployment: pods of one template, through ReplicaSets of which there is one for each version of the template.

Source: Kubernetes apps/v1 API, DeploymentSpec; printed columns as `kubectl get deployments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import forbidden, invalid
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds import counts, printing, workloads
from coracle.kube.kinds.blanks import absent, blank
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import not_negative, unsupported

ROLLING, RECREATE = "RollingUpdate", "Recreate"
_ROLLING = "spec.strategy.rollingUpdate"


def default(deployment: Object) -> Object:
    spec = workloads.with_template(
        deployment.body.get("spec"), replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600
    )
    strategy = blank(spec.get("strategy"), type=ROLLING)
    if strategy["type"] == ROLLING:
        strategy["rollingUpdate"] = absent(strategy.get("rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
    return deployment.with_body(spec={**spec, "strategy": strategy})


def assign(deployment: Object, old: Object | None, _reader: Reader) -> Object:
    return deployment.with_body(status={}) if old is None else deployment


def validate(deployment: Object) -> Problems:
    spec = deployment.spec
    problems = not_negative("spec.replicas", spec["replicas"])
    problems += workloads.selector_problems(spec, "empty selector is invalid for deployment")
    problems += workloads.own_template(spec, "ReplicaSet")
    problems += _strategy(spec["strategy"])
    for name in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        problems += not_negative(f"spec.{name}", spec.get(name))
    deadline_s = spec["progressDeadlineSeconds"]
    if deadline_s <= (spec.get("minReadySeconds") or 0):
        said = "must be greater than minReadySeconds"
        problems.append(invalid("spec.progressDeadlineSeconds", deadline_s, said))
    return problems


def _strategy(strategy: Mapping[str, Any]) -> Problems:
    given = strategy.get("rollingUpdate")
    match strategy["type"]:
        case "Recreate" if given is not None:
            return [forbidden(_ROLLING, "may not be specified when strategy `type` is 'Recreate'")]
        case "Recreate":
            return []
        case "RollingUpdate":
            return _rolling(given or {})
    return [unsupported("spec.strategy.type", strategy["type"], (RECREATE, ROLLING))]


def _rolling(given: Mapping[str, Any]) -> Problems:
    unavailable, surge = given["maxUnavailable"], given["maxSurge"]
    problems = workloads.portion(f"{_ROLLING}.maxUnavailable", unavailable)
    problems += workloads.portion(f"{_ROLLING}.maxSurge", surge)
    if workloads.is_nothing(unavailable) and workloads.is_nothing(surge):
        problems.append(invalid(f"{_ROLLING}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    return problems + workloads.at_most_all(f"{_ROLLING}.maxUnavailable", unavailable)


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return counts.DEPLOYMENTS.problems(new, old) if part == "status" else workloads.same_selector(new, old)


KIND = Kind(
    name="Deployment",
    plural="deployments",
    api="apps/v1",
    singular="deployment",
    short=("deploy",),
    categories=("all",),
    schema=schema("apps/v1", "Deployment"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text(
            "Ready",
            lambda deployment: f"{deployment.status.get('readyReplicas', 0)}/{deployment.spec.get('replicas', 0)}",
            "Number of the pod with ready state.",
        ),
        printing.number("Up-to-date", lambda deployment: deployment.status.get("updatedReplicas", 0)),
        printing.number("Available", lambda deployment: deployment.status.get("availableReplicas", 0)),
        printing.AGE,
        *workloads.template_columns(),
        workloads.SELECTOR,
    ),
    subresources=frozenset(("status", "scale")),
    loop="coracle.kube.controllers.deployments.loop:Deployments",
)
