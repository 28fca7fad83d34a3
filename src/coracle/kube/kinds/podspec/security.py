"""The rules for what a pod and its containers may do: both levels of securityContext, and what is shared.

Source: Kubernetes v1 API, PodSecurityContext, SecurityContext, SeccompProfile, Sysctl.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, invalid, required
from coracle.core.object import Json
from coracle.kube.kinds.rules import LARGEST_INT32, one_of

_SECCOMP = ("Localhost", "RuntimeDefault", "Unconfined")
_PART = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_PART}[\./])*{_PART}"
_LONGEST_SYSCTL = 253


def of_pod(spec: Mapping[str, Any], at: str) -> list[Problem]:
    """Of the pod as a whole; `at` is the path of its spec."""
    context, here = spec.get("securityContext") or {}, f"{at}.securityContext"
    found = _ids(here, context, ("runAsUser", "runAsGroup", "fsGroup"))
    for index, number in enumerate(context.get("supplementalGroups") or ()):
        found += _id(f"{here}.supplementalGroups[{index}]", number)
    for name, choices in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
    ):
        found += one_of(f"{here}.{name}", context[name], choices) if context.get(name) is not None else []
    found += _seccomp(here, context) + _sysctls(f"{here}.sysctls", context.get("sysctls") or ())
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        said = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(invalid(f"{at}.shareProcessNamespace", True, said))
    return found


def of_container(at: str, given: Json) -> list[Problem]:
    """`at` is the path of its securityContext."""
    found = _ids(at, given, ("runAsUser", "runAsGroup")) + _seccomp(at, given)
    if given.get("allowPrivilegeEscalation") is False:
        capabilities = (given.get("capabilities") or {}).get("add") or ()
        if given.get("privileged"):
            found.append(invalid(at, given, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
        if "CAP_SYS_ADMIN" in capabilities:
            said = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(invalid(at, given, said))
    if given.get("procMount"):
        found += one_of(f"{at}.procMount", given["procMount"], ("Default", "Unmasked"))
    return found


def _ids(at: str, given: Mapping[str, Any], names: Sequence[str]) -> list[Problem]:
    return [problem for name in names for problem in _id(f"{at}.{name}", given.get(name))]


def _id(at: str, number: int | None) -> list[Problem]:
    if number is None or 0 <= number <= LARGEST_INT32:
        return []
    return [invalid(at, number, f"must be between 0 and {LARGEST_INT32}, inclusive")]


def _seccomp(at: str, context: Mapping[str, Any]) -> list[Problem]:
    profile = context.get("seccompProfile")
    if profile is None:
        return []
    here, path = f"{at}.seccompProfile", profile.get("localhostProfile")
    found = one_of(f"{here}.type", profile.get("type"), _SECCOMP)
    if profile.get("type") != "Localhost":
        said = "can only be set when seccomp type is Localhost"
        return found + ([invalid(f"{here}.localhostProfile", path, said)] if path is not None else [])
    if not path:
        return [*found, required(f"{here}.localhostProfile", "must be set when seccomp type is Localhost")]
    if path.startswith("/"):
        found.append(invalid(f"{here}.localhostProfile", path, "must be a relative path"))
    if ".." in path.split("/"):
        found.append(invalid(f"{here}.localhostProfile", path, "must not contain '..'"))
    return found


def _sysctls(at: str, given: Sequence[Json]) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    for index, sysctl in enumerate(given):
        here, name = f"{at}[{index}].name", sysctl.get("name") or ""
        if not name:
            found.append(required(here))
        elif len(name) > _LONGEST_SYSCTL or re.fullmatch(_SYSCTL, name) is None:
            said = f"must have at most {_LONGEST_SYSCTL} characters and match regex ^{_SYSCTL}$"
            found.append(invalid(here, name, said))
        elif name in seen:
            found.append(duplicate(here, name))
        seen.add(name)
    return found
