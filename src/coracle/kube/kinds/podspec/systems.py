"""The rules for pods of an operating system: what the other one's pods only may say.

Source: Kubernetes v1 API, PodSpec.os.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coracle.core.errors import Problem, forbidden, required
from coracle.kube.kinds.rules import unsupported

_SYSTEMS = ("linux", "windows")
_OF_LINUX_PODS = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
_IN_POD_CONTEXT = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls", "runAsUser",
    "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
_IN_CONTEXT = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip


def problems(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    """`at` is the path of the pod's spec."""
    if spec.get("os") is None:
        return []
    name = spec["os"].get("name")
    if not name:
        return [required(f"{at}.os.name", "cannot be empty")]
    if name not in _SYSTEMS:
        return [unsupported(f"{at}.os", name, _SYSTEMS)]
    contexts = list(_contexts(at, spec))
    if name == "linux":
        said = "windows options cannot be set for a linux pod"
        return [forbidden(f"{here}.windowsOptions", said) for here, one, _ in contexts if one.get("windowsOptions")]
    found = [forbidden(f"{at}.{field}", _NOT_WINDOWS) for field in _OF_LINUX_PODS if spec.get(field)]
    for here, context, fields in contexts:
        found += [forbidden(f"{here}.{field}", _NOT_WINDOWS) for field in fields if context.get(field) is not None]
    return found


_NOT_WINDOWS = "cannot be set for a windows pod"


def _contexts(at: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    """Each securityContext with its path, and the fields of it that only Linux has."""
    yield f"{at}.securityContext", spec.get("securityContext") or {}, _IN_POD_CONTEXT
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            yield f"{at}.{group}[{index}].securityContext", container.get("securityContext") or {}, _IN_CONTEXT
