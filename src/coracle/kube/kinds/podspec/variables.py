"""The rules for a container's variables: their names, and where their values come from.

Source: Kubernetes v1 API, EnvVar, EnvVarSource, EnvFromSource.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from coracle.core.errors import Problem, invalid, not_found, not_supported, required
from coracle.core.object import Json
from coracle.core.quantity import parse
from coracle.kube.kinds.podspec import resources
from coracle.kube.kinds.podspec.volumesources import file_path
from coracle.kube.kinds.rules import one_of

_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_ELSEWHERE = (  # what other places may refer to, but no variable
    "metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase",
)  # fmt: skip
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory",
    "requests.cpu", "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip
_DIVISORS = {
    "cpu": ("1m", "1"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}
_DIVISORS["ephemeral-storage"] = _DIVISORS["memory"]


def problems(at: str, container: Json) -> list[Problem]:
    found: list[Problem] = []
    for index, variable in enumerate(container.get("env") or ()):
        here, name = f"{at}.env[{index}]", variable.get("name") or ""
        found += _variable_name(f"{here}.name", name) if name else [required(f"{here}.name")]
        if variable.get("valueFrom") is not None:
            found += _value_from(f"{here}.valueFrom", variable["valueFrom"], variable.get("value"))
    for index, source in enumerate(container.get("envFrom") or ()):
        found += _env_from(f"{at}.envFrom[{index}]", source)
    return found


def files(at: str, container: Json, volumes: Sequence[Json]) -> list[Problem]:
    """The volumes whose files variables are taken from: such as only live as long as the pod."""
    known = {volume.get("name"): volume for volume in volumes}
    found: list[Problem] = []
    for index, variable in enumerate(container.get("env") or ()):
        name = ((variable.get("valueFrom") or {}).get("fileKeyRef") or {}).get("volumeName")
        here = f"{at}.env[{index}].valueFrom.fileKeyRef.volumeName"
        if name and name not in known:
            found.append(not_found(here, name))
        elif name and known[name].get("emptyDir") is None:
            found.append(invalid(here, name, "must be a volume of type emptyDir"))
    return found


def _variable_name(at: str, name: str) -> list[Problem]:
    said = "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return [] if re.fullmatch("[ -<>-~]+", name) else [invalid(at, name, said)]


def _value_from(at: str, source: Json, value: str | None) -> list[Problem]:
    chosen = [name for name in _SOURCES if source.get(name) is not None]
    found: list[Problem] = []
    for name in chosen:
        found += _SOURCE_RULES[name](f"{at}.{name}", source[name])
    if not chosen:
        listed = ", ".join(f"`{name}`" for name in _SOURCES[:-2])
        found.append(invalid(at, "", f"must specify one of: {listed} or `secretKeyRef`"))
    elif value:
        found.append(invalid(at, "", "may not be specified when `value` is not empty"))
    elif len(chosen) > 1:
        found.append(invalid(at, "", "may not have more than one field specified at a time"))
    return found


def _field_ref(at: str, ref: Json) -> list[Problem]:
    path = ref.get("fieldPath") or ""
    if not path:
        return [required(f"{at}.fieldPath")]
    if re.fullmatch(r"metadata\.(labels|annotations)\['[^']+'\]", path):
        return []
    if path in _FIELDS:
        return []
    if path in _ELSEWHERE:
        return [not_supported(f"{at}.fieldPath", path, _FIELDS)]
    said = f"error converting fieldPath: field label not supported: {path.partition('[')[0]}"
    return [invalid(f"{at}.fieldPath", path, said)]


def _resource_ref(at: str, ref: Json) -> list[Problem]:
    resource = str(ref.get("resource") or "")
    which, _, name = resource.partition(".")
    if which in ("limits", "requests") and name.startswith(resources.HUGE):
        return []
    return one_of(f"{at}.resource", resource, _RESOURCES) or _divisor(f"{at}.divisor", resource, ref.get("divisor"))


def _divisor(at: str, resource: str, divisor: Any) -> list[Problem]:
    """None, "" and 0 stand for 1."""
    sort = resource.partition(".")[2]
    try:
        amount = parse(divisor or "0")
    except ValueError as error:
        return [invalid(at, divisor, str(error))]
    if not amount or str(amount) in _DIVISORS[sort]:
        return []
    listed = (" and " if sort == "cpu" else ", ").join(_DIVISORS[sort])
    return [invalid(at, resource, f"only divisor's values {listed} are supported with the {sort} resource")]


def _key_ref(at: str, ref: Json) -> list[Problem]:
    found = [] if ref.get("name") else [required(f"{at}.name")]
    return found + ([] if ref.get("key") else [required(f"{at}.key")])


def _file_ref(at: str, ref: Json) -> list[Problem]:
    found = [required(f"{at}.{name}") for name in ("key", "volumeName") if not ref.get(name)]
    return found + file_path(f"{at}.path", ref.get("path") or "")


_SOURCE_RULES: dict[str, Callable[[str, Json], list[Problem]]] = {
    "fieldRef": _field_ref,
    "resourceFieldRef": _resource_ref,
    "configMapKeyRef": _key_ref,
    "secretKeyRef": _key_ref,
    "fileKeyRef": _file_ref,
}


def _env_from(at: str, source: Json) -> list[Problem]:
    chosen = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
    found = _variable_name(f"{at}.prefix", source["prefix"]) if source.get("prefix") else []
    if not chosen:
        return [*found, invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")]
    if len(chosen) > 1:
        return [*found, invalid(at, "", "may not have more than one field specified at a time")]
    return found if source[chosen[0]].get("name") else [*found, required(f"{at}.{chosen[0]}.name")]
