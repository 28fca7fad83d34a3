"""What a namespace's standard of pod security means for what is made in it: refused, or warned of.

Source: Kubernetes admission plugin PodSecurity; documentation, "Pod Security Admission".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Literal

from coracle.core.errors import Forbidden
from coracle.core.kind import Reader
from coracle.core.object import Json, Key, Object
from coracle.kube.kinds.podsecurity.standards import LEVELS, Standard, standard, told, violations
from coracle.kube.kinds.warnings import template_of

_NAMESPACE = "Namespace"
_GROUPS = ("initContainers", "containers", "ephemeralContainers")


def enforced(verb: Literal["create", "update", "delete"], pod: Object, old: Object | None, reader: Reader) -> Object:
    """A `core.collection.Guard` of pods.  Raises Forbidden."""
    if verb == "delete" or (old is not None and not _matters(pod, old)):
        return pod
    asked = _asked(pod.meta.namespace, "enforce", reader)
    found = violations(asked, pod.meta.annotations, pod.spec)
    if found:
        said = f'violates PodSecurity "{asked}": {told(found)}'
        raise Forbidden(f'pods "{pod.meta.name}" is forbidden: {said}', kind="Pod", name=pod.meta.name)
    return pod


def warnings(new: Object, old: Object | None, reader: Reader) -> list[str]:
    """Of what was made, or changed from `old`: of a pod, of what makes pods, of the namespace itself."""
    if new.type == _NAMESPACE:
        return list(_of_namespace(new, old, reader)) if old is not None else []
    if new.type == "Pod" and old is not None and not _matters(new, old):
        return []
    if old is not None and new.type != "Pod" and old.meta.generation == new.meta.generation:
        return []
    _, template = template_of(new)
    if not template:
        return []
    asked = _asked(new.meta.namespace, "warn", reader)
    notes = (template.get("metadata") or {}).get("annotations") or {}
    found = violations(asked, notes, template.get("spec") or {})
    return [f'would violate PodSecurity "{asked}": {told(found)}'] if found else []


def _asked(namespace: str, mode: Literal["enforce", "warn"], reader: Reader) -> Standard:
    entry = reader.find(_NAMESPACE, Key("", namespace))
    return standard(entry.labels if entry is not None else {}, mode)


def _matters(new: Object, old: Object) -> bool:
    """Whether a container is new or has another image."""
    return any(_images(new, group) != _images(old, group) for group in _GROUPS)


def _images(pod: Object, group: str) -> list[Any]:
    given: list[Json] = pod.spec.get(group) or []
    return [(one.get("name"), one.get("image")) for one in given]


def _of_namespace(new: Object, old: Object, reader: Reader) -> Iterator[str]:
    """Which pods in it violate what it enforces from now on."""
    asked, before = standard(new.meta.labels, "enforce"), standard(old.meta.labels, "enforce")
    laxer = asked.version == before.version and LEVELS.index(asked.level) <= LEVELS.index(before.level)
    if asked == before or laxer:
        return
    names: dict[str, list[str]] = defaultdict(list)
    for entry in reader.entries("Pod", new.meta.name):
        pod = entry.object()
        found = violations(asked, pod.meta.annotations, pod.spec)
        if found:
            names[", ".join(why for why, _ in found)].append(pod.meta.name)
    if names:
        yield f'existing pods in namespace "{new.meta.name}" violate the new PodSecurity enforce level "{asked}"'
    yield from sorted(f"{_first(pods)}: {whys}" for whys, pods in names.items())


def _first(names: list[str]) -> str:
    others = len(names) - 1
    return f"{min(names)} (and {others} other pod{'s' if others > 1 else ''})" if others else names[0]
