"""ReplicaSet: keeps `spec.replicas` pods alive that `spec.selector` selects.

Source: Kubernetes apps/v1 API, ReplicaSetSpec; printed columns as `kubectl get rs`.
"""

from __future__ import annotations

from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds import counts, printing, workloads
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import not_negative

_EMPTY = "empty selector is invalid for deployment"  # Kubernetes' own word, also for ReplicaSets


def default(rs: Object) -> Object:
    return rs.with_body(spec=workloads.with_template(rs.body.get("spec"), replicas=1))


def assign(rs: Object, old: Object | None, _reader: Reader) -> Object:
    return rs.with_body(status={"replicas": 0}) if old is None else rs


def validate(rs: Object) -> Problems:
    spec = rs.spec
    problems = not_negative("spec.replicas", spec["replicas"])
    problems += not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    problems += workloads.selector_problems(spec, _EMPTY)
    return problems + workloads.own_template(spec, "ReplicaSet")


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return counts.SETS.problems(new, old) if part == "status" else workloads.same_selector(new, old)


KIND = Kind(
    name="ReplicaSet",
    plural="replicasets",
    api="apps/v1",
    singular="replicaset",
    short=("rs",),
    categories=("all",),
    schema=schema("apps/v1", "ReplicaSet"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    fields={"status.replicas": lambda rs: str(rs.status.get("replicas", 0))},
    columns=(
        printing.NAME,
        printing.number("Desired", lambda rs: rs.spec.get("replicas", 0), "How many pods are asked for."),
        printing.number("Current", lambda rs: rs.status.get("replicas", 0), "How many pods there are."),
        printing.number("Ready", lambda rs: rs.status.get("readyReplicas", 0), "How many of them are ready."),
        printing.AGE,
        *workloads.template_columns(),
        workloads.SELECTOR,
    ),
    subresources=frozenset(("status", "scale")),
    loop="coracle.kube.controllers.replication:Replication",
)
