"""ReplicationController: keeps `spec.replicas` pods alive that match `spec.selector`.

Source: Kubernetes v1 API, ReplicationControllerSpec; printed columns as `kubectl get rc`.
"""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.errors import invalid, required
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.names import label_problems
from coracle.core.object import Object
from coracle.core.selectors import matches
from coracle.kube.kinds import counts, printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podspec import defaults
from coracle.kube.kinds.podspec.rules import template_problems
from coracle.kube.kinds.rules import not_negative
from coracle.kube.kinds.workloads import runs_for_ever


def default(rc: Object) -> Object:
    """One replica, and the template's labels as selector and own labels, where the user said nothing."""
    spec = absent(rc.body.get("spec"), replicas=1)
    if spec.get("template") is not None:
        spec["template"] = defaults.template(spec["template"])
    labels = _template_labels(spec.get("template") or {})
    if labels and not spec.get("selector"):
        spec["selector"] = labels
    return rc.with_meta(labels=rc.meta.labels or labels).with_body(spec=spec)


def assign(rc: Object, old: Object | None, _reader: Reader) -> Object:
    return rc.with_body(status={"replicas": 0}) if old is None else rc


def validate(rc: Object) -> Problems:
    spec = rc.spec
    problems = not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    problems += [] if spec.get("selector") else [required("spec.selector")]
    problems += label_problems(spec.get("selector"), "spec.selector")
    problems += not_negative("spec.replicas", spec["replicas"])
    if spec.get("template") is None:
        return [*problems, required("spec.template")]
    return problems + _template(spec)


def _template(spec: Mapping[str, object]) -> Problems:
    template: Mapping[str, Mapping[str, object]] = spec["template"]  # type: ignore[assignment]
    labels, selector = _template_labels(template), spec.get("selector") or {}
    problems: Problems = []
    if selector and not matches(selector, labels):  # type: ignore[arg-type]
        problems.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    problems += template_problems(template, "spec.template")
    return problems + runs_for_ever(template, "ReplicationController")


def _template_labels(template: Mapping[str, object]) -> dict[str, str]:
    labels: dict[str, str] = (template.get("metadata") or {}).get("labels") or {}  # type: ignore[attr-defined]
    return labels


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return counts.SETS.problems(new, old) if part == "status" else []


KIND = Kind(
    name="ReplicationController",
    plural="replicationcontrollers",
    singular="replicationcontroller",
    short=("rc",),
    categories=("all",),
    schema=schema("v1", "ReplicationController"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    fields={"status.replicas": lambda rc: str(rc.status.get("replicas", 0))},
    columns=(
        printing.NAME,
        printing.number("Desired", lambda rc: rc.spec.get("replicas", 0), "How many pods are asked for."),
        printing.number("Current", lambda rc: rc.status.get("replicas", 0), "How many pods there are."),
        printing.number("Ready", lambda rc: rc.status.get("readyReplicas", 0), "How many of them are ready."),
        printing.AGE,
        printing.wide("Containers", lambda rc: printing.containers(rc.spec.get("template"))[0]),
        printing.wide("Images", lambda rc: printing.containers(rc.spec.get("template"))[1]),
        printing.wide("Selector", lambda rc: printing.labels(rc.spec.get("selector"))),
    ),
    subresources=frozenset(("status", "scale")),
    orphans=True,
    loop="coracle.kube.controllers.replication:Replication",
)
