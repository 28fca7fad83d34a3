"""StatefulSet: pods that keep their names and their storage, started and stopped in order.

Source: Kubernetes apps/v1 API, StatefulSetSpec; printed columns as `kubectl get statefulsets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import forbidden, invalid, required
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Json, Object
from coracle.kube.kinds import counts, persistentvolumeclaim, printing, workloads
from coracle.kube.kinds.blanks import absent, blank, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import named, not_negative, unique, unsupported

ROLLING, ON_DELETE = "RollingUpdate", "OnDelete"
ORDERED, PARALLEL = "OrderedReady", "Parallel"
RETAIN, DELETE = "Retain", "Delete"
_MAY_CHANGE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
_POLICY = "spec.persistentVolumeClaimRetentionPolicy"
_ROLLING = "spec.updateStrategy.rollingUpdate"


def default(stateful: Object) -> Object:
    spec = workloads.with_template(stateful.body.get("spec"), replicas=1, revisionHistoryLimit=10)
    spec = blank(spec, podManagementPolicy=ORDERED)
    strategy = blank(spec.get("updateStrategy"), type=ROLLING)
    if strategy["type"] == ROLLING:
        strategy["rollingUpdate"] = absent(strategy.get("rollingUpdate"), partition=0, maxUnavailable=1)
    policy = blank(spec.get("persistentVolumeClaimRetentionPolicy"), whenDeleted=RETAIN, whenScaled=RETAIN)
    spec = {**spec, "updateStrategy": strategy, "persistentVolumeClaimRetentionPolicy": policy}
    return stateful.with_body(spec=each(spec, "volumeClaimTemplates", _claim))


def _claim(given: Json) -> Json:
    doc = absent(given, apiVersion="v1", kind="PersistentVolumeClaim", metadata={}, status={"phase": "Pending"})
    return {**doc, "spec": persistentvolumeclaim.claim_spec(doc.get("spec"))}


def assign(stateful: Object, old: Object | None, _reader: Reader) -> Object:
    return stateful.with_body(status={"replicas": 0, "availableReplicas": 0}) if old is None else stateful


def validate(stateful: Object) -> Problems:
    spec = stateful.spec
    problems = _policies(spec) + _strategy(spec["updateStrategy"])
    problems += not_negative("spec.replicas", spec["replicas"])
    problems += not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    problems += not_negative("spec.ordinals.start", (spec.get("ordinals") or {}).get("start"))
    problems += workloads.selector_problems(spec, "empty selector is invalid for statefulset")
    claims = spec.get("volumeClaimTemplates") or ()
    problems += workloads.own_template(_with_claims(spec, claims), "StatefulSet")
    return problems + _claims(claims)


def _policies(spec: Mapping[str, Any]) -> Problems:
    problems: Problems = []
    if spec["podManagementPolicy"] not in (ORDERED, PARALLEL):
        said = f"must be '{ORDERED}' or '{PARALLEL}'"
        problems.append(invalid("spec.podManagementPolicy", spec["podManagementPolicy"], said))
    for name in ("whenDeleted", "whenScaled"):
        value = spec["persistentVolumeClaimRetentionPolicy"][name]
        if value not in (RETAIN, DELETE):
            problems.append(unsupported(f"{_POLICY}.{name}", value, (RETAIN, DELETE)))
    return problems


def _strategy(strategy: Mapping[str, Any]) -> Problems:
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == ROLLING:
        unavailable = rolling["maxUnavailable"] if rolling is not None else 1
        problems = not_negative(f"{_ROLLING}.partition", (rolling or {}).get("partition"))
        problems += workloads.portion(f"{_ROLLING}.maxUnavailable", unavailable)
        if workloads.is_nothing(unavailable):
            problems.append(invalid(f"{_ROLLING}.maxUnavailable", unavailable, "cannot be 0"))
        return problems + workloads.at_most_all(f"{_ROLLING}.maxUnavailable", unavailable)
    if strategy["type"] != ON_DELETE:
        return [invalid("spec.updateStrategy", strategy, f"must be '{ROLLING}' or '{ON_DELETE}'")]
    return [] if rolling is None else [invalid(_ROLLING, rolling, f"only allowed for updateStrategy '{ROLLING}'")]


def with_claims(given: Sequence[Json] | None, claims: Sequence[Json], claim_name: Any) -> list[Json]:
    """A pod's volumes: a claim's replaces the template's of the same name.  `claim_name` of a claim's template."""
    mine = {claim["metadata"]["name"]: claim for claim in claims if claim["metadata"].get("name")}
    volumes = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim_name(claim)}} for name, claim in mine.items()
    ]
    return [*volumes, *(volume for volume in given or () if volume.get("name") not in mine)]


def _with_claims(spec: Mapping[str, Any], claims: Sequence[Json]) -> Mapping[str, Any]:
    """The template as pods will be, for its rules."""
    template = spec["template"]
    if not claims:
        return spec
    pod = template.get("spec") or {}
    volumes = with_claims(pod.get("volumes"), claims, lambda claim: claim["metadata"]["name"])
    return {**spec, "template": {**template, "spec": {**pod, "volumes": volumes}}}


def _claims(claims: Sequence[Json]) -> Problems:
    problems: Problems = []
    for index, claim in enumerate(claims):
        at = f"spec.volumeClaimTemplates[{index}]"
        problems += named("label", f"{at}.metadata.name", claim["metadata"].get("name"))
        if not claim["spec"].get("accessModes"):
            problems.append(required(f"{at}.spec.accessModes", "at least 1 access mode is required"))
        if not (claim["spec"]["resources"].get("requests") or {}).get("storage"):
            problems.append(required(f"{at}.spec.resources[storage]"))
    names = [claim["metadata"].get("name") for claim in claims]
    return problems + unique(lambda index: f"spec.volumeClaimTemplates[{index}].metadata.name", names)


def validate_change(new: Object, old: Object, part: str) -> Problems:
    if part == "status":
        return counts.STATEFUL.problems(new, old)
    kept = [{name: value for name, value in obj.spec.items() if name not in _MAY_CHANGE} for obj in (new, old)]
    if kept[0] == kept[1]:
        return []
    *names, last = (f"'{name}'" for name in _MAY_CHANGE)
    said = f"updates to statefulset spec for fields other than {', '.join(names)} and {last} are forbidden"
    return [forbidden("spec", said)]


KIND = Kind(
    name="StatefulSet",
    plural="statefulsets",
    api="apps/v1",
    singular="statefulset",
    short=("sts",),
    categories=("all",),
    schema=schema("apps/v1", "StatefulSet"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text(
            "Ready", lambda stateful: f"{stateful.status.get('readyReplicas', 0)}/{stateful.spec.get('replicas', 0)}"
        ),
        printing.AGE,
        *workloads.template_columns(),
    ),
    subresources=frozenset(("status", "scale")),
    loop="coracle.kube.controllers.stateful.loop:StatefulSets",
)
