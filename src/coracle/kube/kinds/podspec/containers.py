"""The rules for one container, init or ordinary.

Source: Kubernetes v1 API, Container, Probe, Lifecycle, EnvVar, ResourceRequirements, SecurityContext.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, forbidden, invalid, not_found, required, too_many
from coracle.core.object import Json
from coracle.kube.kinds.podspec import resources, security, variables
from coracle.kube.kinds.podspec import volumes as volume_rules
from coracle.kube.kinds.rules import (
    address,
    named,
    one_of,
    port_name_faults,
    port_number,
    unique,
    unsupported,
)

PROTOCOLS = ("SCTP", "TCP", "UDP")
RESTART_POLICIES = ("Always", "OnFailure", "Never")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
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
    found += variables.problems(at, container)
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
        found.append(too_many(f"{at}.restartPolicyRules", len(rules), _MOST_RULES))
    for index, rule in enumerate(rules):
        found += _restart_rule(f"{at}.restartPolicyRules[{index}]", rule)
    return found


def _restart_rule(at: str, rule: Json) -> list[Problem]:
    found = _known(f"{at}.action", rule.get("action"), ("Restart", "RestartAllContainers"))
    codes = rule.get("exitCodes")
    if codes is None:
        return [*found, required(f"{at}.exitCodes", "must be specified")]
    found += _known(f"{at}.exitCodes.operator", codes.get("operator"), ("In", "NotIn"))
    if len(codes.get("values") or ()) > _MOST_CODES:
        found.append(too_many(f"{at}.exitCodes.values", len(codes["values"]), _MOST_CODES))
    return found


def _known(field: str, word: Any, words: Sequence[str]) -> list[Problem]:
    return [] if word in words else [unsupported(field, word or "", words)]


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
