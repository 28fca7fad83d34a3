"""LimitRange: how small and how large pods, containers and claims of a namespace may be, and what they get unasked.

Source: Kubernetes v1 API, LimitRange; the words of its validation.
"""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.errors import Problem, duplicate, forbidden, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Json, Object
from coracle.core.quantity import Quantity, parse
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema

CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"
_AMOUNTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def default(ranges: Object) -> Object:
    items = [_item(item) for item in ranges.spec.get("limits") or ()]
    return ranges.with_body(spec={**absent(ranges.body.get("spec")), "limits": items})


def _item(given: Json) -> Json:
    """Container limits default to their maximum, requests to the limit, or else to the minimum."""
    item = absent(given)
    if item.get("type") != CONTAINER:
        return item
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    return {**item, **({"default": limits} if limits else {}), **({"defaultRequest": requests} if requests else {})}


def validate(ranges: Object) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, item in enumerate(ranges.spec.get("limits") or ()):
        at, type = f"spec.limits[{index}]", item.get("type") or ""
        found += [required(f"{at}.type")] if not type else _type(f"{at}.type", type)
        if type in seen:
            found.append(duplicate(f"{at}.type", type))
        seen.add(type)
        found += _amounts(at, item) or _consistent(at, item)
    return found


def _type(at: str, type: str) -> list[Problem]:
    if type in (CONTAINER, POD, CLAIM):
        return []
    faults = qualified_faults(type) or ([] if "/" in type else ["must be a standard limit type or fully qualified"])
    return [invalid(at, type, fault) for fault in faults]


def _amounts(at: str, item: Json) -> list[Problem]:
    found: list[Problem] = []
    if item.get("type") == POD:
        for name in ("default", "defaultRequest"):
            if item.get(name):
                found.append(forbidden(f"{at}.{name}", "may not be specified when `type` is 'Pod'"))
    for name in _AMOUNTS:
        for resource, amount in sorted((item.get(name) or {}).items()):
            try:
                parse(amount)
            except ValueError as error:
                found.append(invalid(f"{at}.{name}[{resource}]", amount, str(error)))
    if item.get("type") == CLAIM and not any("storage" in (item.get(name) or {}) for name in ("min", "max")):
        found.append(
            required(f"{at}.limits", "either minimum or maximum storage value is required, but neither was provided")
        )
    return found


def _consistent(at: str, item: Json) -> list[Problem]:
    found: list[Problem] = []
    names = sorted({name for field in _AMOUNTS for name in item.get(field) or {}})
    for name in names:
        given = {field: parse(item[field][name]) for field in _AMOUNTS if name in (item.get(field) or {})}
        found += [invalid(f"{at}.{field}[{name}]", str(value), said) for field, value, said in _faults(given)]
    return found


# field, the one it may not exceed, how that is said
_ORDER = (
    ("min", "max", "min value {0} is greater than max value {1}"),
    ("defaultRequest", "max", "default request value {0} is greater than max value {1}"),
    ("defaultRequest", "default", "default request value {0} is greater than default limit value {1}"),
    ("min", "default", "min value {0} is greater than default value {1}"),
    ("min", "defaultRequest", "min value {0} is greater than default request value {1}"),
    ("default", "max", "default value {0} is greater than max value {1}"),
)


def _faults(given: Mapping[str, Quantity]) -> list[tuple[str, Quantity, str]]:
    found = []
    for low, high, said in _ORDER:
        if low in given and high in given and given[low] > given[high]:
            found.append(
                (low if low != "min" or high == "max" else high, given[low], said.format(given[low], given[high]))
            )
    ratio = given.get("maxLimitRequestRatio")
    if ratio is not None and ratio < parse("1"):
        found.append(("maxLimitRequestRatio", ratio, "ratio is less than 1"))
    if ratio is not None and given.get("min") and given.get("max"):
        most = given["max"].nano / given["min"].nano
        if ratio.nano / 10**9 > most:
            found.append(("maxLimitRequestRatio", ratio, f"ratio {ratio} is greater than max/min = {most:f}"))
    return found


KIND = Kind(
    name="LimitRange",
    plural="limitranges",
    singular="limitrange",
    short=("limits",),
    schema=schema("v1", "LimitRange"),
    default=default,
    validate=validate,
    columns=(
        printing.NAME,
        printing.text("Created At", lambda ranges: ranges.meta.created, "When it was made."),
    ),
    counts_generations=False,
)
