"""What is accepted in a pod or a template and is hardly meant so: told to the client, which goes on.  Pure.

Source: Kubernetes API, "Warnings"; the messages of its pod warnings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from coracle.core.object import Json
from coracle.core.quantity import parse
from coracle.kube.kinds.podspec import outdated
from coracle.kube.kinds.podspec.affinities import PREFERRED, REQUIRED

_NO_SELECTOR = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage")


def of_pods(given: Mapping[str, Any], at: str = "") -> list[str]:
    """Of a pod, or of a template at `at` (`spec.template.`): its metadata and spec."""
    spec_at, spec = f"{at}spec", given.get("spec") or {}
    notes = (given.get("metadata") or {}).get("annotations") or {}
    return [
        *outdated.labels(spec_at, spec),
        *outdated.notes(f"{at}metadata.annotations", notes, spec),
        *outdated.volumes(f"{spec_at}.volumes", spec.get("volumes") or ()),
        *_no_selectors(spec_at, spec),
        *_repeated(f"{spec_at}.hostAliases", spec.get("hostAliases") or (), "ip"),
        *_repeated(f"{spec_at}.imagePullSecrets", spec.get("imagePullSecrets") or (), "name"),
        *_nameless(f"{spec_at}.imagePullSecrets", spec.get("imagePullSecrets") or ()),
        *fractions(f"{spec_at}.overhead", spec.get("overhead") or {}),
        *(said for where, container in _containers(spec_at, spec) for said in _of_container(where, container)),
        *_ports(spec_at, spec),
        *_grace(f"{spec_at}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds")),
    ]


def _containers(at: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    for which in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(which) or ()):
            yield f"{at}.{which}[{index}]", container


def _no_selectors(at: str, spec: Mapping[str, Any]) -> Iterator[str]:
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if constraint.get("labelSelector") is None:
            yield f"{at}.topologySpreadConstraints[{index}].labelSelector: {_NO_SELECTOR}"
    for name in ("podAffinity", "podAntiAffinity"):
        affinity = (spec.get("affinity") or {}).get(name) or {}
        for index, term in enumerate(affinity.get(REQUIRED) or ()):
            if term.get("labelSelector") is None:
                yield f"{at}.affinity.{name}.{REQUIRED}[{index}].labelSelector: {_NO_SELECTOR}"
        for index, weighted in enumerate(affinity.get(PREFERRED) or ()):
            if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{at}.affinity.{name}.{PREFERRED}[{index}].podAffinityTerm.labelSelector: {_NO_SELECTOR}"


def _repeated(at: str, given: Sequence[Json], key: str) -> Iterator[str]:
    seen: set[Any] = set()
    for index, one in enumerate(given):
        if one.get(key) in seen:
            yield f'{at}[{index}].{key}: duplicate {key} "{one.get(key)}"'
        seen.add(one.get(key))


def _nameless(at: str, secrets: Sequence[Json]) -> Iterator[str]:
    for index, secret in enumerate(secrets):
        if not secret.get("name"):
            yield f'{at}[{index}].name: invalid empty name ""'


def _grace(at: str, grace_s: int | None) -> Iterator[str]:
    if grace_s is not None and grace_s < 0:
        yield f"{at}: must be >= 0; negative values are invalid and will be treated as 1"


def fractions(at: str, amounts: Mapping[str, Any], names: Sequence[str] = _BYTES) -> Iterator[str]:
    for name in names:
        if name in amounts and parse(amounts[name]).milli % 1000:
            yield f'{at}[{name}]: fractional byte value "{amounts[name]}" is invalid, must be an integer'


def _of_container(at: str, container: Json) -> Iterator[str]:
    for which in ("limits", "requests"):
        yield from fractions(f"{at}.resources.{which}", (container.get("resources") or {}).get(which) or {})
    yield from _hidden_variables(f"{at}.env", container.get("env") or ())


def _hidden_variables(at: str, given: Sequence[Json]) -> Iterator[str]:
    """A variable may be said again where it builds on what it was: `PATH=$(PATH):/opt`."""
    seen: set[str] = set()
    for index, variable in enumerate(given):
        name, value = variable.get("name") or "", variable.get("value") or ""
        former = f"$({name})"
        builds_on = former in value and value != former and not variable.get("valueFrom")
        if name in seen and not builds_on:
            yield f'{at}[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(at: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """Of all containers together: they share one network."""
    seen: dict[tuple[Any, str], list[tuple[str, Json]]] = defaultdict(list)
    for container_at, container in _containers(at, spec):
        for index, port in enumerate(container.get("ports") or ()):
            where = f"{container_at}.ports[{index}]"
            others = seen[port.get("containerPort"), port.get("protocol") or "TCP"]
            yield from _overlaps(where, port, others)
            others.append((where, port))


def _overlaps(where: str, port: Json, others: Iterable[tuple[str, Json]]) -> Iterator[str]:
    ip, number = port.get("hostIP") or "", port.get("hostPort") or 0
    for other_at, other in others:
        other_ip, other_number = other.get("hostIP") or "", other.get("hostPort") or 0
        if (ip, number) == (other_ip, other_number):
            yield f"{where}: duplicate port definition with {other_at}"
        elif not number or not other_number:
            yield f"{where}: overlapping port definition with {other_at}"
        elif number == other_number and bool(ip) != bool(other_ip):
            yield f"{where}: dangerously ambiguous port definition with {other_at}"
