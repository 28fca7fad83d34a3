"""The rules for what a pod and its containers may do: both levels of securityContext, and what is shared.

Source: Kubernetes v1 API, PodSecurityContext, SecurityContext, SeccompProfile, AppArmorProfile, Sysctl; documentation,
"User Namespaces", "Using sysctls in a Kubernetes Cluster".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, forbidden, invalid, required, too_long
from coracle.core.object import Json
from coracle.kube.kinds.rules import LARGEST_INT32, one_of

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SELINUX_POLICIES = ("MountOption", "Recursive")
_PART = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_PART}[\./])*{_PART}"
_LONGEST_SYSCTL, _LONGEST_PROFILE = 253, 4095
_OF_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


def of_pod(spec: Mapping[str, Any], at: str) -> list[Problem]:
    """Of the pod as a whole; `at` is the path of its spec."""
    context, here = spec.get("securityContext") or {}, f"{at}.securityContext"
    found = _ids(here, context, ("runAsUser", "runAsGroup", "fsGroup"))
    for index, number in enumerate(context.get("supplementalGroups") or ()):
        found += _id(f"{here}.supplementalGroups[{index}]", number)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        said = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(invalid(f"{here}.shareProcessNamespace", True, said))
    found += _sysctls(f"{here}.sysctls", context.get("sysctls") or (), spec)
    for name, choices in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", _SELINUX_POLICIES),
    ):
        found += one_of(f"{here}.{name}", context[name], choices) if context.get(name) is not None else []
    return found + _seccomp(here, context) + _apparmor(here, context) + _users(at, spec)


def of_container(at: str, given: Json) -> list[Problem]:
    """`at` is the path of its securityContext."""
    found = _ids(at, given, ("runAsUser", "runAsGroup")) + _seccomp(at, given) + _apparmor(at, given)
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


def _users(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    """What goes only with users of the pod's own, and what only with the host's."""
    everyone = [
        (f"{at}.{group}[{index}]", container)
        for group in ("containers", "initContainers", "ephemeralContainers")
        for index, container in enumerate(spec.get(group) or ())
    ]
    if spec.get("hostUsers") is False:
        found = [
            forbidden(f"{at}.{name}", "when `hostUsers` is false")
            for name in ("hostNetwork", "hostPID", "hostIPC")
            if spec.get(name)
        ]
        devices = (where for where, container in everyone if container.get("volumeDevices"))
        return found + [forbidden(f"{where}.volumeDevices", "when `hostUsers` is false") for where in devices]
    bare = (where for where, one in everyone if (one.get("securityContext") or {}).get("procMount") == "Unmasked")
    said = "`hostUsers` must be false to use `Unmasked`"
    return [invalid(f"{where}.securityContext.procMount", "Unmasked", said) for where in bare]


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
    if not profile.get("type"):
        return [required(f"{here}.type", "type is required when seccompProfile is set")]
    found = one_of(f"{here}.type", profile["type"], _PROFILES)
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


def _apparmor(at: str, context: Mapping[str, Any]) -> list[Problem]:
    profile = context.get("appArmorProfile")
    if profile is None:
        return []
    type, name, here = profile.get("type"), profile.get("localhostProfile"), f"{at}.appArmorProfile"
    if not type:
        return [required(f"{here}.type", "type is required when appArmorProfile is set")]
    found = one_of(f"{here}.type", type, _PROFILES)
    if type != "Localhost":
        said = "can only be set when AppArmor type is Localhost"
        wrong = not found and name is not None
        return found + ([invalid(f"{here}.localhostProfile", name, said)] if wrong else [])
    if not (name or "").strip():
        return [*found, required(f"{here}.localhostProfile", "must be set when AppArmor type is Localhost")]
    if name != name.strip():
        found.append(invalid(f"{here}.localhostProfile", name, "must not be padded with whitespace"))
    if len(name) > _LONGEST_PROFILE:
        found.append(too_long(f"{here}.localhostProfile", _LONGEST_PROFILE))
    return found


def _sysctls(at: str, given: Sequence[Json], spec: Mapping[str, Any]) -> list[Problem]:
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
        found += _of_the_host(here, name, spec)
        seen.add(name)
    return found


def _of_the_host(at: str, name: str, spec: Mapping[str, Any]) -> list[Problem]:
    """A sysctl of a namespace that the pod has not of its own."""
    plain = name.replace("/", ".")
    if plain.startswith("net.") and spec.get("hostNetwork"):
        return [invalid(at, name, "may not be specified when 'hostNetwork' is true")]
    if plain.startswith(_OF_IPC) and spec.get("hostIPC"):
        return [invalid(at, name, "may not be specified when 'hostIPC' is true")]
    return []
