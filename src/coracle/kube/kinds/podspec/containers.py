"""The rules for one container, init or ordinary.

Source: Kubernetes v1 API, Container, Probe, Lifecycle, EnvVar, ResourceRequirements, SecurityContext.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, forbidden, invalid, not_found, not_supported, required
from coracle.core.object import Json
from coracle.core.quantity import parse
from coracle.kube.kinds.podspec import resources, security
from coracle.kube.kinds.podspec import volumes as volume_rules
from coracle.kube.kinds.podspec.volumesources import file_path
from coracle.kube.kinds.rules import (
    address,
    named,
    one_of,
    port_name_faults,
    port_number,
    unique,
)

PROTOCOLS = ("SCTP", "TCP", "UDP")
RESTART_POLICIES = ("Always", "OnFailure", "Never")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
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
_EPHEMERAL = frozenset((
    "name", "image", "command", "args", "workingDir", "envFrom", "env", "volumeMounts", "volumeDevices",
    "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin", "stdinOnce",
    "tty", "targetContainerName",
))  # fmt: skip
_MOST_RULES, _MOST_CODES = 20, 255


def problems(at: str, container: Json, volumes: Iterable[str]) -> list[Problem]:
    """`volumes` are the names of the pod's volumes."""
    image = container.get("image") or ""
    found = named("label", f"{at}.name", container.get("name"))
    if not image:
        found.append(required(f"{at}.image"))
    elif image != image.strip():
        found.append(invalid(f"{at}.image", image, "must not have leading or trailing whitespace"))
    policy = container.get("terminationMessagePolicy")
    found += one_of(f"{at}.terminationMessagePolicy", policy, ("FallbackToLogsOnError", "File"))
    found += ports(f"{at}.ports", container.get("ports") or ())
    found += environment(at, container)
    privileged = bool((container.get("securityContext") or {}).get("privileged"))
    mounts = container.get("volumeMounts") or ()
    found += volume_rules.mounts(f"{at}.volumeMounts", mounts, volumes, privileged=privileged)
    found += one_of(f"{at}.imagePullPolicy", container.get("imagePullPolicy"), PULL_POLICIES)
    found += resources.of_container(f"{at}.resources", container.get("resources") or {})
    found += _restarts(at, container)
    return found + security.of_container(f"{at}.securityContext", container.get("securityContext") or {})


def _restarts(at: str, container: Json) -> list[Problem]:
    """The container's own restart policy, and the rules that come before it."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    found = one_of(f"{at}.restartPolicy", policy, RESTART_POLICIES) if policy is not None else []
    if rules and policy is None:
        found.append(required(f"{at}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    if len(rules) > _MOST_RULES:
        found.append(invalid(f"{at}.restartPolicyRules", len(rules), f"must have at most {_MOST_RULES} items"))
    for index, rule in enumerate(rules):
        found += _restart_rule(f"{at}.restartPolicyRules[{index}]", rule)
    return found


def _restart_rule(at: str, rule: Json) -> list[Problem]:
    found = one_of(f"{at}.action", rule.get("action"), ("Restart", "RestartAllContainers"))
    codes = rule.get("exitCodes")
    if codes is None:
        return [*found, required(f"{at}.exitCodes", "must be specified")]
    found += one_of(f"{at}.exitCodes.operator", codes.get("operator"), ("In", "NotIn"))
    if not codes.get("values"):
        found.append(invalid(f"{at}.exitCodes.values", codes.get("values"), "must specify at least 1 value"))
    if len(codes.get("values") or ()) > _MOST_CODES:
        said = f"must have at most {_MOST_CODES} items"
        found.append(invalid(f"{at}.exitCodes.values", len(codes["values"]), said))
    return found


def ephemeral(at: str, container: Json, volumes: Iterable[str], targets: Container[str]) -> list[Problem]:
    """The rules of an ephemeral container: `targets` are the names of those whose processes it may see."""
    found = [
        forbidden(f"{at}.{name}", "cannot be set for an Ephemeral Container")
        for name in container
        if name not in _EPHEMERAL and container[name]
    ]
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for name in ("subPath", "subPathExpr"):
            if mount.get(name):
                said = "cannot be set for an Ephemeral Container"
                found.append(forbidden(f"{at}.volumeMounts[{index}].{name}", said))
    target = container.get("targetContainerName")
    if target and target not in targets:
        found.append(not_found(f"{at}.targetContainerName", target))
    return problems(at, {**container, "resources": {}}, volumes) + found


def resize_policy(at: str, container: Json, pod_policy: str) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    for index, one in enumerate(container.get("resizePolicy") or ()):
        here, name, policy = f"{at}.resizePolicy[{index}]", one.get("resourceName"), one.get("restartPolicy")
        found += one_of(f"{here}.resourceName", name, ("cpu", "memory"))
        found += one_of(f"{here}.restartPolicy", policy, ("NotRequired", "RestartContainer"))
        if name in seen:
            found.append(duplicate(f"{at}.resizePolicy", name))
        if policy == "RestartContainer" and pod_policy == "Never":
            said = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            found.append(invalid(f"{here}.restartPolicy", policy, said))
        seen.add(str(name))
    return found


def ports(at: str, given: Sequence[Json]) -> list[Problem]:
    found = unique(lambda index: f"{at}[{index}].name", (entry.get("name") for entry in given))
    for index, entry in enumerate(given):
        here = f"{at}[{index}]"
        if entry.get("name"):
            found += [invalid(f"{here}.name", entry["name"], fault) for fault in port_name_faults(entry["name"])]
        number = entry.get("containerPort") or 0
        found += port_number(f"{here}.containerPort", number) if number else [required(f"{here}.containerPort")]
        if entry.get("hostPort"):
            found += port_number(f"{here}.hostPort", entry["hostPort"])
        found += address(f"{here}.hostIP", entry["hostIP"]) if entry.get("hostIP") else []
        found += one_of(f"{here}.protocol", entry.get("protocol"), PROTOCOLS)
    return found


def environment(at: str, container: Json) -> list[Problem]:
    found: list[Problem] = []
    for index, variable in enumerate(container.get("env") or ()):
        here, name = f"{at}.env[{index}]", variable.get("name") or ""
        found += _variable_name(f"{here}.name", name) if name else [required(f"{here}.name")]
        if variable.get("valueFrom") is not None:
            found += _value_from(f"{here}.valueFrom", variable["valueFrom"], variable.get("value"))
    for index, source in enumerate(container.get("envFrom") or ()):
        found += _env_from(f"{at}.envFrom[{index}]", source)
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
