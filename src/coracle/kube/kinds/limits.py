"""Hold pods and claims to the LimitRanges of their namespace: fill in what they leave out, refuse what does not fit.

`limited` is a `core.collection.Guard`.

Source: Kubernetes admission plugin LimitRanger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from coracle.core.errors import Forbidden
from coracle.core.kind import Reader
from coracle.core.object import Json, Object
from coracle.core.quantity import Quantity, parse_all
from coracle.kube.kinds import limitrange
from coracle.kube.kinds.limitrange import CLAIM, CONTAINER, POD
from coracle.kube.kinds.podspec import amounts, defaults

RANGE = limitrange.KIND.type
MARK = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, Quantity]
Verb = Literal["create", "update", "delete"]


def limited(verb: Verb, obj: Object, _old: Object | None, reader: Reader) -> Object:
    """Raises Forbidden with everything that does not fit."""
    if verb == "delete" or (verb == "update" and obj.kind == POD):
        return obj
    ranges = [entry.object() for entry in reader.entries(RANGE, obj.meta.namespace)]
    if not ranges:
        return obj
    for one in ranges:
        obj = _filled(obj, one) if obj.kind == POD else obj
    try:
        faults = [fault for one in ranges for fault in _faults(obj, one)]
    except ValueError:
        return obj  # a quantity that the pod's own rules refuse next
    if faults:
        said = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        name, resource = obj.meta.name or obj.meta.generate_name, f"{obj.kind.lower()}s"
        raise Forbidden(f'{resource} "{name}" is forbidden: {said}', kind=obj.type, name=name)
    return obj


def _items(one: Object, type: str) -> Iterator[Json]:
    return (item for item in one.spec.get("limits") or () if item.get("type") == type)


# -- defaults ---------------------------------------------------------------------------------------------------------


def _filled(pod: Object, one: Object) -> Object:
    limits = {n: v for item in _items(one, CONTAINER) for n, v in (item.get("default") or {}).items()}
    requests = {n: v for item in _items(one, CONTAINER) for n, v in (item.get("defaultRequest") or {}).items()}
    notes: list[str] = []
    changed = {}
    for group, word in (("containers", "container"), ("initContainers", "init container")):
        if pod.spec.get(group):
            changed[group] = [_with(container, limits, requests, word, notes) for container in pod.spec[group]]
    if not notes:
        return pod
    said = f"LimitRanger plugin set: {'; '.join(notes)}"
    spec = defaults.pod_spec({**pod.spec, **changed})  # what a pod with these amounts leaves out
    return pod.with_body(spec=spec).with_meta(annotations={**pod.meta.annotations, MARK: said})


def _with(container: Json, limits: Json, requests: Json, word: str, notes: list[str]) -> Json:
    resources = dict(container.get("resources") or {})
    for which, given in (("requests", requests), ("limits", limits)):
        had = resources.get(which) or {}
        new = sorted(name for name in given if name not in had)
        if new:
            resources[which] = {**had, **{name: given[name] for name in new}}
            notes.append(f"{', '.join(new)} {which[:-1]} for {word} {container['name']}")
    return {**container, "resources": resources}


# -- bounds -----------------------------------------------------------------------------------------------------------


def _faults(obj: Object, one: Object) -> Iterator[str]:
    if obj.kind == CLAIM:
        asked = parse_all((obj.spec.get("resources") or {}).get("requests"))
        for item in _items(one, CLAIM):
            yield from _low(item, CLAIM, asked, {})
            yield from _high(item, CLAIM, asked, asked)
        return
    for item in _items(one, CONTAINER):
        for container in (*(obj.spec.get("containers") or ()), *(obj.spec.get("initContainers") or ())):
            resources = container.get("resources") or {}
            yield from _bounds(
                item, CONTAINER, parse_all(resources.get("requests")), parse_all(resources.get("limits"))
            )
    for item in _items(one, POD):
        yield from _bounds(item, POD, amounts.requests(obj.spec), amounts.limits(obj.spec))


def _bounds(item: Json, type: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    yield from _low(item, type, requests, limits)
    yield from _high(item, type, requests, limits)
    for name, ratio in sorted(parse_all(item.get("maxLimitRequestRatio")).items()):
        yield from _ratio(
            f"{name} max limit to request ratio per {type} is {ratio}, but", ratio, requests.get(name), limits.get(name)
        )


def _low(item: Json, type: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in sorted(parse_all(item.get("min")).items()):
        said, request, limit = f"minimum {name} usage per {type} is {least}", requests.get(name), limits.get(name)
        if request is None:
            yield f"{said}.  No request is specified"
        elif request < least:
            yield f"{said}, but request is {request}"
        elif limit is not None and limit < least:
            yield f"{said}, but limit is {limit}"


def _high(item: Json, type: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, most in sorted(parse_all(item.get("max")).items()):
        said, request, limit = f"maximum {name} usage per {type} is {most}", requests.get(name), limits.get(name)
        if limit is None:
            yield f"{said}.  No limit is specified"
        elif limit > most:
            yield f"{said}, but {'request' if type == CLAIM else 'limit'} is {limit}"
        elif request is not None and request > most:
            yield f"{said}, but request is {request}"


def _ratio(said: str, most: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    if not request:
        yield f"{said} no request is specified or request is 0"
    elif not limit:
        yield f"{said} no limit is specified or limit is 0"
    elif limit.nano / request.nano > most.nano / 10**9:
        yield f"{said} provided ratio is {limit.nano / request.nano:f}"
