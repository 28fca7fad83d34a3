"""What one thing takes of its namespace's quotas, and which quotas it concerns.  Pure.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from coracle.core.kind import Kind
from coracle.core.object import Json, Object
from coracle.core.quantity import Quantity, parse_all
from coracle.kube.kinds.persistentvolumeclaim import requested
from coracle.kube.kinds.pod import ended
from coracle.kube.kinds.podspec import affinities, amounts
from coracle.kube.kinds.resourcequota import COUNTED, OF_CLAIMS
from coracle.kube.kinds.storagerules import class_of

Usage = dict[str, Quantity]
ONE = Quantity(10**9)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_REQUIRED = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def usage(kind: Kind, obj: Object) -> Usage:
    """Everything that `obj` takes, under the names that quotas have for it.  Raises ValueError (a bad quantity)."""
    found: Usage = {f"count/{kind.resource}": ONE}
    if kind.type == "Pod":
        return found | (
            {} if ended(obj) else {"pods": ONE, **_compute(amounts.requests(obj.spec), amounts.limits(obj.spec))}
        )
    if not kind.group and kind.plural in COUNTED:
        found[kind.plural] = ONE
    if kind.type == "Service":
        return found | _service(obj)
    return found | _claim(obj) if kind.type == "PersistentVolumeClaim" else found


def _compute(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Usage:
    found: Usage = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            found[name] = amount
        found[f"requests.{name}"] = amount
    return found | {f"limits.{name}": amount for name, amount in limits.items() if name in _COMPUTE}


def _service(service: Object) -> Usage:
    type, ports = service.spec.get("type"), len(service.spec.get("ports") or ())
    found: Usage = {"services.loadbalancers": ONE} if type == "LoadBalancer" else {}
    balanced = type == "LoadBalancer" and service.spec.get("allocateLoadBalancerNodePorts") is not False
    opens = type == "NodePort" or balanced
    return found | ({"services.nodeports": Quantity(ports * 10**9)} if opens else {})


def _claim(claim: Object) -> Usage:
    size, cls = requested(claim), class_of(claim)
    found: Usage = {"requests.storage": size}
    if cls:
        prefix = f"{cls}.storageclass.storage.k8s.io"
        found |= {f"{prefix}/requests.storage": size, f"{prefix}/persistentvolumeclaims": ONE}
    return found


def total(many: Iterable[Usage]) -> Usage:
    found: Usage = {}
    for one in many:
        for name, amount in one.items():
            found[name] = found[name] + amount if name in found else amount
    return found


# -- which quotas -----------------------------------------------------------------------------------------------------


def concerns(quota: Object, obj: Object) -> bool:
    """Whether `obj` is in all scopes of the quota: only pods and claims are in any."""
    needs: list[Json] = [{"scopeName": name, "operator": "Exists"} for name in quota.spec.get("scopes") or ()]
    needs += (quota.spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not needs or (obj.kind in _IN_SCOPES and all(_IN_SCOPES[obj.kind](obj, need) for need in needs))


def _claim_in_scope(claim: Object, need: Json) -> bool:
    status = claim.status
    names = {
        claim.spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return need["scopeName"] == OF_CLAIMS and _chosen({name for name in names if name}, need)


def _in_scope(pod: Object, need: Json) -> bool:
    match need["scopeName"]:
        case "Terminating" | "NotTerminating" as scope:
            return bool((pod.spec.get("activeDeadlineSeconds") is not None) == (scope == "Terminating"))
        case "BestEffort" | "NotBestEffort" as scope:
            return bool((amounts.qos_class(pod.spec) == "BestEffort") == (scope == "BestEffort"))
        case "PriorityClass":
            name = pod.spec.get("priorityClassName")
            return _chosen({name} if name else set(), need)
        case "CrossNamespacePodAffinity":
            return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in _terms(pod.spec))
    return False


_IN_SCOPES: Mapping[str, Callable[[Object, Json], bool]] = {"Pod": _in_scope, "PersistentVolumeClaim": _claim_in_scope}


def _chosen(names: set[str], need: Json) -> bool:
    values: list[str] = need.get("values") or []
    match need["operator"]:
        case "In":
            return not names.isdisjoint(values)
        case "NotIn":
            return names.isdisjoint(values)
        case "Exists":
            return bool(names)
    return not names


def _terms(spec: Mapping[str, Any]) -> Iterable[Json]:
    for sort in ("podAffinity", "podAntiAffinity"):
        given = (spec.get("affinity") or {}).get(sort) or {}
        yield from given.get(affinities.REQUIRED) or ()
        preferred = given.get(affinities.PREFERRED) or ()
        yield from (one.get("podAffinityTerm") or {} for one in preferred)


def unsaid(quota: Object, pod: Object) -> str:
    """`must specify limits.cpu for: www`: what the quota counts and a container does not say; "": nothing."""
    wanted = [name for name in sorted(quota.spec.get("hard") or {}) if name in _REQUIRED]
    missing: dict[str, list[str]] = {}
    for container in (*(pod.spec.get("containers") or ()), *(pod.spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        requests, limits = (parse_all(resources.get(which)) for which in ("requests", "limits"))
        said = _compute(requests, limits)
        for name in wanted:
            if name not in said:
                missing.setdefault(name, []).append(container["name"])
    if not missing or any((pod.spec.get("resources") or {}).values()):
        return ""
    return "must specify " + "; ".join(f"{name} for: {','.join(sorted(who))}" for name, who in missing.items())
