"""The rules for a whole pod spec, of a pod or of a template.

Source: Kubernetes v1 API, PodSpec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, forbidden, invalid, required, too_long
from coracle.core.names import label_problems, name_faults, qualified_faults
from coracle.core.object import Json
from coracle.kube.kinds.podspec import containers as container_rules
from coracle.kube.kinds.podspec import notes, placement, probes, resources, security, systems, variables, volumes
from coracle.kube.kinds.rules import (
    LARGEST_INT32,
    address,
    named,
    one_of,
    optional_name,
    unique,
)

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_LONGEST_HOST_NAME = 64
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")


def problems(spec: Mapping[str, Any], at: str = "spec") -> list[Problem]:
    """Every rule that `spec`, filled in by `defaults`, breaks.  `at` is its path in the object."""
    found = volumes.problems(f"{at}.volumes", spec.get("volumes") or ())
    found += _containers(spec, at) + _ephemeral(spec, at)
    found += one_of(f"{at}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    found += one_of(f"{at}.dnsPolicy", spec.get("dnsPolicy"), DNS_POLICIES)
    found += _durations(spec, at) + _names(spec, at) + security.of_pod(spec, at) + _network(spec, at)
    return found + placement.problems(at, spec) + resources.of_pod(at, spec) + systems.problems(at, spec)


def template_problems(template: Mapping[str, Any], at: str) -> list[Problem]:
    """A PodTemplateSpec."""
    meta = template.get("metadata") or {}
    found = label_problems(meta.get("labels"), f"{at}.labels")
    for key in meta.get("annotations") or {}:
        found += [invalid(f"{at}.annotations", key, fault) for fault in qualified_faults(key.lower())]
    found += notes.problems(meta.get("annotations"), f"{at}.annotations")
    if (template.get("spec") or {}).get("ephemeralContainers"):
        found.append(forbidden(f"{at}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return found + problems(template.get("spec") or {}, f"{at}.spec")


def _containers(spec: Mapping[str, Any], at: str) -> list[Problem]:
    ordinary, initial = spec.get("containers") or (), spec.get("initContainers") or ()
    known = [volume.get("name") for volume in spec.get("volumes") or ()]
    os = str((spec.get("os") or {}).get("name") or "")
    found = [] if ordinary else [required(f"{at}.containers")]
    for path, container in _with_paths(at, ordinary, initial):
        found += container_rules.problems(path, container, known)
        found += variables.files(path, container, spec.get("volumes") or ())
        found += volumes.devices(f"{path}.volumeDevices", container, spec.get("volumes") or ())
        found += probes.hooks(path, container, spec.get("terminationGracePeriodSeconds") or 0, os)
        found += container_rules.resize_policy(path, container, spec.get("restartPolicy") or "")
        if ".containers[" in path or container.get("restartPolicy") == "Always":
            found += probes.health(path, container)
        else:
            found += _nothing_that_waits(path, container)
    late = spec.get("ephemeralContainers") or ()
    everyone = [*_with_paths(at, ordinary, initial), *_indexed(f"{at}.ephemeralContainers", late)]
    names = [(path, container.get("name")) for path, container in everyone]
    found += unique(lambda index: f"{names[index][0]}.name", (name for _, name in names))
    return found + _host_ports(at, spec)


def _with_paths(at: str, ordinary: Sequence[Json], initial: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    yield from _indexed(f"{at}.containers", ordinary)
    yield from _indexed(f"{at}.initContainers", initial)


def _indexed(at: str, group: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    for index, container in enumerate(group):
        yield f"{at}[{index}]", container


def _ephemeral(spec: Mapping[str, Any], at: str) -> list[Problem]:
    known = [volume.get("name") for volume in spec.get("volumes") or ()]
    targets = {one.get("name") for one in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))}
    found = []
    for path, container in _indexed(f"{at}.ephemeralContainers", spec.get("ephemeralContainers") or ()):
        found += container_rules.ephemeral(path, container, known, targets)
    return found


def _nothing_that_waits(at: str, container: Json) -> list[Problem]:
    names = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
    said = "may not be set for init containers without restartPolicy=Always"
    return [forbidden(f"{at}.{name}", said) for name in names if container.get(name) is not None]


def _host_ports(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    seen: set[str] = set()
    found = []
    for path, container in _with_paths(at, spec.get("containers") or (), ()):
        for index, port in enumerate(container.get("ports") or ()):
            here, host = f"{path}.ports[{index}]", port.get("hostPort") or 0
            if spec.get("hostNetwork") and host != (port.get("containerPort") or 0):
                said = "must match 'hostPort' when 'hostNetwork' is true"
                found.append(invalid(f"{here}.containerPort", port.get("containerPort"), said))
            claim = f"{port.get('protocol')}/{port.get('hostIP') or ''}/{host}"
            if host and claim in seen:
                found.append(duplicate(f"{here}.hostPort", claim))
            seen.add(claim)
    return found


def _durations(spec: Mapping[str, Any], at: str) -> list[Problem]:
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is None or 1 <= deadline_s <= LARGEST_INT32:
        return []
    said = f"must be between 1 and {LARGEST_INT32}, inclusive"
    return [invalid(f"{at}.activeDeadlineSeconds", deadline_s, said)]


def _names(spec: Mapping[str, Any], at: str) -> list[Problem]:
    found: list[Problem] = []
    for name in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        found += optional_name("subdomain", f"{at}.{name}", spec.get(name))
    for name in ("hostname", "subdomain"):
        found += optional_name("label", f"{at}.{name}", spec.get(name))
    found += _override(spec, at)
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        found += [] if secret.get("name") else [required(f"{at}.imagePullSecrets[{index}].name")]
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        here, kind = f"{at}.readinessGates[{index}].conditionType", gate.get("conditionType") or ""
        found += [invalid(here, kind, fault) for fault in qualified_faults(kind)]
    return found


def _override(spec: Mapping[str, Any], at: str) -> list[Problem]:
    """A host name that the pod is given whatever else it is called."""
    name, here = spec.get("hostnameOverride"), f"{at}.hostnameOverride"
    if name is None:
        return []
    found = [invalid(here, name, fault) for fault in name_faults("subdomain", name)]
    if len(name) > _LONGEST_HOST_NAME:
        found.append(too_long(here, _LONGEST_HOST_NAME))
    if spec.get("setHostnameAsFQDN"):
        found.append(forbidden(here, "may not be set when `setHostnameAsFQDN` is true"))
    if spec.get("hostNetwork"):
        found.append(forbidden(here, "may not be set when `hostNetwork` is true"))
    return found


def _network(spec: Mapping[str, Any], at: str) -> list[Problem]:
    found: list[Problem] = []
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        here = f"{at}.hostAliases[{index}]"
        found += address(f"{here}.ip", alias.get("ip") or "")
        for number, name in enumerate(alias.get("hostnames") or ()):
            found += named("subdomain", f"{here}.hostnames[{number}]", name)
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        said = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        found.append(required(f"{at}.dnsConfig.nameservers", said))
    for index, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        found += address(f"{at}.dnsConfig.nameservers[{index}]", server)
    return found + _dns_limits(spec.get("dnsConfig") or {}, f"{at}.dnsConfig")


def _dns_limits(given: Mapping[str, Any], at: str) -> list[Problem]:
    found = []
    for name, most, what in (("nameservers", 3, "nameservers"), ("searches", 32, "search paths")):
        if len(given.get(name) or ()) > most:
            found.append(invalid(f"{at}.{name}", given[name], f"must not have more than {most} {what}"))
    for index, option in enumerate(given.get("options") or ()):
        found += [] if option.get("name") else [required(f"{at}.options[{index}]", "must not be empty")]
    return found
