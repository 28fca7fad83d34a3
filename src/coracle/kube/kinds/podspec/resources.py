"""The rules for what a container asks for and may have, and for the same of a pod as a whole.

    cpu, memory, ephemeral-storage   requests up to the limits
    hugepages-<size>                 requests equal to the limits, in whole pages, beside cpu or memory
    example.com/name                 what nodes count: whole ones, requests equal to the limits
    of a pod                         cpu, memory, huge pages: its requests cover those of its containers, its limits
                                     are above each of theirs

Source: Kubernetes v1 API, ResourceRequirements; documentation, "Resource Management for Pods and Containers",
"Extended Resources", "Manage HugePages", "Assign Pod-level CPU and memory resources".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coracle.core.errors import Problem, duplicate, forbidden, invalid, required
from coracle.core.names import qualified_faults
from coracle.core.object import Json
from coracle.core.quantity import ZERO, Quantity, parse
from coracle.kube.kinds.podspec import amounts
from coracle.kube.kinds.rules import quantity, unsupported

HUGE = "hugepages-"
_CONTAINERS = ("cpu", "memory", "ephemeral-storage")
_STANDARD = (
    *_CONTAINERS, "storage", "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
    "persistentvolumeclaims", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
    "limits.cpu", "limits.memory", "limits.ephemeral-storage", "services.nodeports", "services.loadbalancers",
)  # fmt: skip
_OF_PODS = ("cpu", HUGE, "memory")

Names = Callable[[str, str], list[Problem]]


def of_container(at: str, given: Json) -> list[Problem]:
    return _requirements(at, given, _container_name)


def of_pod(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    """Of the pod as a whole, beside its containers; `at` is the path of its spec."""
    claims = tuple(str(claim.get("name")) for claim in spec.get("resourceClaims") or ())
    found: list[Problem] = []
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            here = f"{at}.{group}[{index}].resources.claims"
            found += _claims(here, (container.get("resources") or {}).get("claims") or (), claims)
    return found + _whole(f"{at}.resources", spec)


def _whole(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    given = spec.get("resources")
    if given is None:
        return []
    found: list[Problem] = []
    if given.get("claims") is not None:
        found.append(forbidden(f"{at}.claims", "claims cannot be set for Resources at pod-level"))
    found += _requirements(at, given, _pod_name)
    return found or _consistency(at, spec)


def is_extended(name: str) -> bool:
    """Whether it is none of Kubernetes' own: somebody counts it in the status of nodes."""
    return not _is_native(name) and not name.startswith("requests.") and not qualified_faults(f"requests.{name}")


def may_be_overcommitted(name: str) -> bool:
    """Whether a request may be below its limit."""
    return _is_native(name) and not name.startswith(HUGE)


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


# -- names and amounts ----------------------------------------------------------------------------------------------


def _requirements(at: str, given: Json, names: Names) -> list[Problem]:
    limits, requests = given.get("limits") or {}, given.get("requests") or {}
    found: list[Problem] = []
    for which, asked in (("limits", limits), ("requests", requests)):
        for name, value in asked.items():
            here = f"{at}.{which}[{name}]"
            found += names(here, name) + _amount(here, name, value)
            if which == "requests":
                found += _against_limit(at, name, value, limits.get(name))
    sized = {*limits, *requests}
    if any(name.startswith(HUGE) for name in sized) and not sized & {"cpu", "memory"}:
        found.append(forbidden(at, "HugePages require cpu or memory"))
    return found


def _container_name(at: str, name: str) -> list[Problem]:
    found = _name(at, name)
    if "/" not in name:
        known = name in _CONTAINERS or name.startswith(HUGE)
        return found if known else [*found, invalid(at, name, "must be a standard resource for containers")]
    if not _is_native(name) and not is_extended(name):
        found.append(invalid(at, name, "doesn't follow extended resource name standard"))
    return found


def _pod_name(at: str, name: str) -> list[Problem]:
    known = name in _OF_PODS or name.startswith(HUGE)
    return _name(at, name) or ([] if known else [unsupported(at, name, _OF_PODS)])


def _name(at: str, name: str) -> list[Problem]:
    faults = [invalid(at, name, fault) for fault in qualified_faults(name)]
    if not faults and "/" not in name and name not in _STANDARD and not name.startswith(HUGE):
        return [invalid(at, name, "must be a standard resource type or fully qualified")]
    return faults


def _amount(at: str, name: str, value: Any) -> list[Problem]:
    found = quantity(at, value)
    amount = _parsed(value)
    if amount is None:
        return found
    if is_extended(name) and amount.milli % 1000:
        found.append(invalid(at, str(amount), "must be an integer"))
    if name.startswith(HUGE) and not _is_whole_pages(name, amount):
        found.append(invalid(at, str(amount), f"{amount} is not positive integer multiple of {name}"))
    return found


def _is_whole_pages(name: str, amount: Quantity) -> bool:
    page = _parsed(name.removeprefix(HUGE))
    return page is not None and page.nano > 0 and page.milli % 1000 == 0 and amount.whole % page.whole == 0


def _against_limit(at: str, name: str, value: Any, limit: Any) -> list[Problem]:
    amount, most = _parsed(value), _parsed(limit) if limit is not None else None
    if limit is None and not may_be_overcommitted(name):
        return [required(f"{at}.limits", "Limit must be set for non overcommitable resources")]
    if amount is None or most is None:
        return []
    if amount != most and not may_be_overcommitted(name):
        return [invalid(f"{at}.requests", str(amount), f"must be equal to {name} limit of {most}")]
    if amount > most:
        return [invalid(f"{at}.requests", str(amount), f"must be less than or equal to {name} limit of {most}")]
    return []


def _parsed(value: Any) -> Quantity | None:
    """None: it is no quantity, which `quantity` says."""
    try:
        return parse(value)
    except ValueError:
        return None


def _claims(at: str, given: Any, known: tuple[str, ...]) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    for index, claim in enumerate(given):
        here, name, part = f"{at}[{index}]", claim.get("name") or "", claim.get("request") or ""
        whole = f"{name}/{part}" if part else name
        taken = {name, whole} if part else {name, *(one for one in seen if one.startswith(f"{name}/"))}
        if not name:
            found.append(required(here))
            continue
        if seen & taken:
            found.append(duplicate(here, whole))
        seen.add(whole)
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            said = f'Not found: "{name}": must be one of the names in pod.spec.resourceClaims{listed}'
            found.append(Problem(here, "not-found", said))
    return found


# -- a pod and its containers ---------------------------------------------------------------------------------------


def _consistency(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    own: Json = spec["resources"]
    limits, together = own.get("limits") or {}, amounts.of_containers(spec, "requests")
    found = []
    for name, value in (own.get("requests") or {}).items():
        if together.get(name, ZERO) > parse(value):
            said = f"must be greater than or equal to aggregate container requests of {together[name]}"
            found.append(invalid(f"{at}.requests[{name}]", str(parse(value)), said))
    for index, container in enumerate(spec.get("containers") or ()):
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and parse(value) > parse(limits[name]):
                here = f"{at}.containers[{index}][{name}].limits"
                said = f"must be less than or equal to pod limits of {parse(limits[name])}"
                found.append(invalid(here, str(parse(value)), said))
    return found
