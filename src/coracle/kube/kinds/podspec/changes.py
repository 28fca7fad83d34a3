"""What of a pod may change once it exists: images, a shorter deadline, more tolerations, little else.

Source: Kubernetes documentation, "Pod update and replacement".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid
from coracle.core.object import Json
from coracle.kube.kinds.podspec import gated
from coracle.kube.kinds.podspec.amounts import qos_class
from coracle.kube.kinds.rules import LARGEST_INT32

_SIZES = ("cpu", "memory")
_MAY_CHANGE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)


def problems(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    """The rules broken by going from the spec `old` to `new`; both are filled in."""
    found = _fixed_number(new, old) or _deadline(new, old) + _tolerations(new, old) + _gates(new, old)
    waits = gated.gated(old)
    found = found or (gated.problems(new, old) if waits else [])
    if found:
        return found
    kept = _as_before(gated.as_before(new, old) if waits else new, old)
    if kept == old:
        return []
    listed = ",".join(_MAY_CHANGE)
    different = "\n".join(_differences("spec", old, kept))
    return [forbidden("spec", f"pod updates may not change fields other than {listed}\n{different}\n")]


def ephemeral_problems(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    """What may change through the subresource: ephemeral containers may be added, nothing else."""
    at = "spec.ephemeralContainers"
    after = {one.get("name"): one for one in new.get("ephemeralContainers") or ()}
    found = []
    for one in old.get("ephemeralContainers") or ():
        name = one["name"]
        if name not in after:
            found.append(forbidden(at, f"existing ephemeral containers {json.dumps(name)} may not be removed\n"))
        elif after[name] != one:
            found.append(forbidden(at, f"existing ephemeral containers {json.dumps(name)} may not be changed\n"))
    return found + _nothing_but("ephemeralContainers", new, old)


def resize_problems(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    """What may change through the subresource: cpu and memory of containers, sidecars and the pod as a whole, within
    their class."""
    if (old.get("os") or {}).get("name") == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    found: list[Problem] = []
    kept = {**new}
    for name in ("containers", "initContainers"):
        pairs = list(zip_longest(new.get(name) or (), old.get(name) or ()))
        if any(after is None or before is None for after, before in pairs):
            return [forbidden(f"spec.{name}", "containers may not be added or removed on resize")]
        for index, (after, before) in enumerate(pairs):
            found += _resized(f"spec.{name}[{index}]", after, before, name)
        if name in new:
            kept[name] = [_with_sizes(after, before) for after, before in pairs]
    if "resources" in new or "resources" in old:
        found += _not_removed("spec.resources", new, old)
        kept["resources"] = _with_sizes(new, old)["resources"]
    if not found and _without_nothing(kept) != _without_nothing(old):
        found.append(forbidden("spec", "only cpu and memory resources are mutable"))
    if qos_class(new) != qos_class(old):
        found.append(invalid("spec", qos_class(old), "Pod QOS Class may not change as a result of resizing"))
    return found


def _resized(at: str, after: Json, before: Json, group: str) -> list[Problem]:
    """Of one container."""
    if after.get("name") != before.get("name"):
        return [forbidden(f"{at}.name", "containers may not be renamed or reordered on resize")]
    if group == "initContainers" and before.get("restartPolicy") != "Always":
        said = "resources for non-sidecar init containers are immutable"
        return [forbidden("spec", said)] if after != before else []
    found = _not_removed(f"{at}.resources", after, before)
    if not found and _with_sizes(after, before) != before:
        whose = " for sidecar containers" if group == "initContainers" else ""
        found.append(forbidden("spec", f"only cpu and memory resources{whose} are mutable"))
    return found


def _without_nothing(spec: Mapping[str, Any]) -> Json:
    return {name: value for name, value in spec.items() if value or name != "resources"}


def _with_sizes(after: Mapping[str, Any], before: Mapping[str, Any]) -> Json:
    """`after`, a container or a whole pod, with the sizes of `before`."""
    resources = dict(after.get("resources") or {})
    for which in ("limits", "requests"):
        had = (before.get("resources") or {}).get(which) or {}
        amounts = {name: amount for name, amount in (resources.pop(which, None) or {}).items() if name not in _SIZES}
        amounts |= {name: amount for name, amount in had.items() if name in _SIZES}
        resources |= {which: amounts} if amounts else {}
    return {**after, "resources": resources}


def _not_removed(at: str, after: Mapping[str, Any], before: Mapping[str, Any]) -> list[Problem]:
    found = []
    for which in ("limits", "requests"):
        had, has = ((one.get("resources") or {}).get(which) or {} for one in (before, after))
        if any(name in had and name not in has for name in _SIZES):
            found.append(forbidden(f"{at}.{which}", f"resource {which} cannot be removed"))
    return found


def _nothing_but(name: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    others = [field for field in sorted({*new, *old}) if field != name and new.get(field) != old.get(field)]
    return [forbidden(f"spec.{field}", f"only spec.{name} may change here") for field in others]


def _fixed_number(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    names = [name for name in ("containers", "initContainers") if _count(new, name) != _count(old, name)]
    return [forbidden(f"spec.{name}", "pod updates may not add or remove containers") for name in names]


def _count(spec: Mapping[str, Any], name: str) -> int:
    return len(spec.get(name) or ())


def _deadline(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    before_s, after_s = old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds")
    if before_s is None:
        return []
    at = "spec.activeDeadlineSeconds"
    if after_s is None:
        return [invalid(at, None, f"must not update from a positive integer to nil value, it was {before_s}")]
    if after_s > before_s:
        return [invalid(at, after_s, "must be less than or equal to previous value")]
    if not 1 <= after_s <= LARGEST_INT32:
        return [invalid(at, after_s, f"must be between 1 and {LARGEST_INT32}, inclusive")]
    return []


def _tolerations(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    after = new.get("tolerations") or []
    lost = [toleration for toleration in old.get("tolerations") or () if toleration not in after]
    said = "existing toleration can not be modified except its tolerationSeconds"
    mild = all(_but_seconds(toleration) in [_but_seconds(other) for other in after] for toleration in lost)
    return [] if mild else [forbidden("spec.tolerations", said)]


def _gates(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    before = [gate["name"] for gate in old.get("schedulingGates") or ()]
    added = [gate["name"] for gate in new.get("schedulingGates") or () if gate["name"] not in before]
    said = "only deletion is allowed, but found new scheduling gate '{}'"
    return [forbidden("spec.schedulingGates", said.format(name)) for name in added]


def _but_seconds(toleration: Json) -> Json:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}


def _as_before(new: Mapping[str, Any], old: Mapping[str, Any]) -> Json:
    """`new` with everything that may change put back."""
    kept = dict(new)
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        kept.pop(name, None)
        if name in old:
            kept[name] = old[name]
    if new.get("terminationGracePeriodSeconds") == 1 and old.get("terminationGracePeriodSeconds", 0) < 0:
        kept["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    for name in ("containers", "initContainers"):
        if name in kept:
            pairs = zip(kept[name], old[name], strict=True)
            kept[name] = [{**container, "image": before.get("image")} for container, before in pairs]
    return kept


def _differences(at: str, old: Any, new: Any) -> Iterator[str]:
    """The fields that differ, each as a line taken away and a line put in."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from _differences(f"{at}.{name}", old.get(name), new.get(name))
    elif isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip_longest(old, new)):
            yield from _differences(f"{at}[{index}]", before, after)
    else:
        yield f"- \t{at}: {json.dumps(old)},"
        yield f"+ \t{at}: {json.dumps(new)},"
