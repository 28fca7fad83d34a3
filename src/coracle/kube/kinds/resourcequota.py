"""ResourceQuota: how much all things of a namespace may take together.

Source: Kubernetes v1 API, ResourceQuota; the words of its validation; printed columns as `kubectl get quota`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Object
from coracle.core.quantity import canonical
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import quantity, unsupported

OF_CLAIMS = "VolumeAttributesClass"  # the one scope that claims are in, all others are of pods
SCOPES = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
    OF_CLAIMS,
)  # fmt: skip
_CHOOSING = ("PriorityClass", OF_CLAIMS)  # scopes that go by names
_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
_AMOUNTS = ("cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
            "limits.cpu", "limits.memory", "limits.ephemeral-storage", "requests.storage")  # fmt: skip
COUNTED = ("pods", "services", "services.nodeports", "services.loadbalancers", "replicationcontrollers",
           "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims")  # fmt: skip
_APART = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_OF_PODS = ("pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_LIMITED = {"BestEffort": ("pods",), OF_CLAIMS: ("persistentvolumeclaims", "requests.storage")}


def default(quota: Object) -> Object:
    return quota.with_body(spec=absent(quota.body.get("spec")))


def assign(quota: Object, old: Object | None, _reader: object) -> Object:
    return quota if old is not None else quota.with_body(status={})


def validate(quota: Object) -> Problems:
    found: Problems = []
    for name, value in sorted((quota.spec.get("hard") or {}).items()):
        at = f"spec.hard[{name}]"
        found += _resource(at, name) + quantity(at, value)
        if (
            not found
            and name in COUNTED
            and "." not in name
            and not str(value).isdigit()
            and canonical(value)[-1] == "m"
        ):
            found.append(invalid(at, value, "must be an integer"))
    return found + _scopes(quota.spec) + _selector(quota.spec)


def _resource(at: str, name: str) -> list[Problem]:
    if name in _AMOUNTS or name in COUNTED or name.startswith(("hugepages-", "requests.hugepages-")):
        return []
    if "/" not in name:
        said = "must be a standard resource type or fully qualified"
        return [invalid(at, name, said), invalid(at, name, "must be a standard resource for quota")]
    return [invalid(at, name, fault) for fault in qualified_faults(name)]


def _scopes(spec: Mapping[str, Any]) -> list[Problem]:
    scopes, hard = spec.get("scopes") or (), spec.get("hard") or {}
    found = []
    for scope in scopes:
        if scope not in SCOPES:
            found.append(invalid("spec.scopes", list(scopes), "unsupported scope"))
        elif set(hard) - {*_LIMITED.get(scope, _OF_PODS)}:
            found.append(invalid("spec.scopes", list(scopes), "unsupported scope applied to resource"))
    if any(set(pair) <= set(scopes) for pair in _APART):
        found.append(invalid("spec.scopes", list(scopes), "conflicting scopes"))
    return found


def _selector(spec: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    for index, need in enumerate((spec.get("scopeSelector") or {}).get("matchExpressions") or ()):
        at = f"spec.scopeSelector.matchExpressions[{index}]"
        operator, values = need.get("operator"), need.get("values") or ()
        if need.get("scopeName") not in SCOPES:
            found.append(invalid(f"{at}.scopeName", need.get("scopeName"), "unsupported scope"))
        elif need["scopeName"] not in _CHOOSING and operator != "Exists":
            said = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"  # noqa: E501
            found.append(invalid(f"{at}.operator", operator, said))
        if operator not in _OPERATORS:
            found.append(unsupported(f"{at}.operator", operator, _OPERATORS))
        elif operator in ("In", "NotIn") and not values:
            said = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.append(required(f"{at}.values", said))
        elif operator in ("Exists", "DoesNotExist") and values:
            said = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"
            found.append(invalid(f"{at}.values", list(values), said))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    if set(new.spec.get("scopes") or ()) == set(old.spec.get("scopes") or ()):
        return []
    return [invalid("spec.scopes", new.spec.get("scopes"), "field is immutable")]


def _usage(quota: Object, *, limits: bool) -> str:
    hard, used = quota.status.get("hard") or {}, quota.status.get("used") or {}
    names = [name for name in sorted(hard) if name.startswith("limits.") == limits]
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


KIND = Kind(
    name="ResourceQuota",
    plural="resourcequotas",
    singular="resourcequota",
    short=("quota",),
    schema=schema("v1", "ResourceQuota"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Request", lambda quota: _usage(quota, limits=False), "What is taken of what may be."),
        printing.text("Limit", lambda quota: _usage(quota, limits=True), "The same of limits."),
        printing.AGE,
    ),
    subresources=frozenset(("status",)),
    counts_generations=False,
    loop="coracle.kube.controllers.quotas:Quotas",
)
