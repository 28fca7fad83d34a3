"""The rules for what a volume is made of.

Source: Kubernetes v1 API, VolumeSource and its members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid, required
from coracle.core.names import label_problems, qualified_faults
from coracle.core.object import Json
from coracle.core.quantity import parse
from coracle.kube.kinds import remotesources
from coracle.kube.kinds.persistentvolumeclaim import claim_spec, spec_problems
from coracle.kube.kinds.rules import label_selector, one_of, unsupported

_HOST_PATHS = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_ONE_PER_SOURCE = "may not specify more than 1 volume type per source"
_MODE_RANGE = "must be a number between 0 and 0777 (octal), both inclusive"
_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_AMOUNTS = ("cpu", "ephemeral-storage", "memory")
_DIVISORS = {
    "cpu": ("1m", "1"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}
SHORTEST_TOKEN_S, LONGEST_TOKEN_S = 600, 2**32


def problems(at: str, source: str, given: Mapping[str, Any]) -> list[Problem]:
    """`given` is the volume's member `source`."""
    rules = _RULES.get(source)
    return rules(at, given) if rules is not None else remotesources.problems(at, source, given)


# -- paths and modes ---------------------------------------------------------------------------------------------------


def path_problems(at: str, path: str) -> list[Problem]:
    """A path that is there, and goes nowhere up."""
    return [required(at)] if not path else no_way_up(at, path)


def below(at: str, path: str) -> list[Problem]:
    """A relative path that stays below where it starts."""
    absolute = [invalid(at, path, "must be a relative path")] if path.startswith("/") else []
    return absolute + no_way_up(at, path)


def no_way_up(at: str, path: str) -> list[Problem]:
    return [invalid(at, path, "must not contain '..'")] if ".." in path.split("/") else []


def file_path(at: str, path: str) -> list[Problem]:
    """Where a file goes in a volume that is written by us, which keeps names that begin with '..' for itself."""
    if not path:
        return [required(at)]
    reserved = path.startswith("..") and not path.startswith("../") and path != ".."
    return below(at, path) + ([invalid(at, path, "must not start with '..'")] if reserved else [])


def _mode(at: str, mode: int | None) -> list[Problem]:
    return [invalid(at, mode, _MODE_RANGE)] if mode is not None and not 0 <= mode <= 0o777 else []


# -- directories of the host -------------------------------------------------------------------------------------------


def host_path_problems(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found = path_problems(f"{at}.path", given.get("path") or "")
    return found + (one_of(f"{at}.type", given["type"], _HOST_PATHS) if given.get("type") else [])


def _empty_dir(at: str, given: Mapping[str, Any]) -> list[Problem]:
    said = "SizeLimit field must be a valid resource quantity"
    limit = given.get("sizeLimit")
    return [] if limit is None or _amount(limit) >= 0 else [forbidden(f"{at}.sizeLimit", said)]


def _amount(value: Any) -> int:
    """-1 where it is none."""
    try:
        return parse(value).nano
    except ValueError:
        return -1


# -- files written by us -----------------------------------------------------------------------------------------------


def _items(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    for index, item in enumerate(given.get("items") or ()):
        here = f"{at}.items[{index}]"
        found += [] if item.get("key") else [required(f"{here}.key")]
        found += file_path(f"{here}.path", item.get("path") or "") + _mode(f"{here}.mode", item.get("mode"))
    return found


def _named(name: str) -> Callable[[str, Mapping[str, Any]], list[Problem]]:
    """A config map or a secret, called by its field `name`."""

    def rules(at: str, given: Mapping[str, Any]) -> list[Problem]:
        found = [] if given.get(name) else [required(f"{at}.{name}")]
        return found + _mode(f"{at}.defaultMode", given.get("defaultMode")) + _items(at, given)

    return rules


def _downward(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found = _mode(f"{at}.defaultMode", given.get("defaultMode"))
    for index, item in enumerate(given.get("items") or ()):
        found += _downward_item(f"{at}.items[{index}]", item)
    return found


def _downward_item(at: str, item: Json) -> list[Problem]:
    found = file_path(f"{at}.path", item.get("path") or "") + _mode(f"{at}.mode", item.get("mode"))
    field, amount = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None and amount is not None:
        found.append(invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif field is not None:
        found += _field_ref(f"{at}.fieldRef", field)
    elif amount is not None:
        found += _resource_ref(f"{at}.resourceFieldRef", amount)
    else:
        found.append(required(at, "one of fieldRef and resourceFieldRef is required"))
    return found


def _field_ref(at: str, ref: Json) -> list[Problem]:
    path = ref.get("fieldPath") or ""
    if not path:
        return [required(f"{at}.fieldPath")]
    name, bracket, key = path.partition("['")
    if bracket and key.endswith("']") and name in _FIELDS[:2]:
        key = key.removesuffix("']")
        faults = qualified_faults(key.lower() if name == "metadata.annotations" else key)
        return [invalid(f"{at}.fieldPath", path, fault) for fault in faults]
    return [] if path in _FIELDS else [unsupported(f"{at}.fieldPath", path, _FIELDS)]


def _resource_ref(at: str, ref: Json) -> list[Problem]:
    found = [] if ref.get("containerName") else [required(f"{at}.containerName")]
    resource, divisor = ref.get("resource") or "", ref.get("divisor")
    which, _, what = resource.partition(".")
    if not resource:
        return [*found, required(f"{at}.resource")]
    if which not in ("limits", "requests") or (what not in _AMOUNTS and not what.startswith("hugepages-")):
        listed = tuple(f"{one}.{name}" for one in ("limits", "requests") for name in _AMOUNTS)
        return [*found, unsupported(f"{at}.resource", resource, listed)]
    allowed = _DIVISORS["cpu" if what == "cpu" else "memory"]
    if divisor is not None and str(divisor) not in (*allowed, "0"):
        listed_units = ", ".join(allowed)
        said = f"only divisor's values {listed_units} are supported with the {what} resource"
        found.append(invalid(f"{at}.divisor", divisor, said))
    return found


# -- several sources in one --------------------------------------------------------------------------------------------


def _projected(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found = _mode(f"{at}.defaultMode", given.get("defaultMode"))
    sources: Sequence[Json] = given.get("sources") or ()
    for index, source in enumerate(sources):
        found += _projection(f"{at}.sources[{index}]", source)
    return found + _clashes(f"{at}.sources", sources)


def _projection(at: str, source: Json) -> list[Problem]:
    chosen = [name for name, value in source.items() if value is not None]
    found = [forbidden(f"{at}.{name}", _ONE_PER_SOURCE) for name in chosen[1:]]
    if not chosen:
        return [required(at, "must specify a volume type")]
    name, given = chosen[0], source[chosen[0]]
    here = f"{at}.{name}"
    match name:
        case "configMap" | "secret":
            missing = [] if given.get("name") else [required(f"{here}.name")]
            return found + missing + _items(here, given)
        case "downwardAPI":
            return found + _downward(here, given)
        case "serviceAccountToken":
            return found + _token(here, given)
        case "clusterTrustBundle":
            return found + label_selector(f"{here}.labelSelector", given.get("labelSelector"))
    return found


def _token(at: str, given: Json) -> list[Problem]:
    seconds = given.get("expirationSeconds")
    found: list[Problem] = []
    if seconds is not None and seconds < SHORTEST_TOKEN_S:
        said = "may not specify a duration less than 10 minutes"
        found.append(invalid(f"{at}.expirationSeconds", seconds, said))
    if seconds is not None and seconds > LONGEST_TOKEN_S:
        found.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    return found + file_path(f"{at}.path", given.get("path") or "")


def _clashes(at: str, sources: Sequence[Json]) -> list[Problem]:
    """Two files of one path."""
    seen: set[str] = set()
    found: list[Problem] = []
    for index, source in enumerate(sources):
        for path in _paths(source):
            if path in seen:
                found.append(invalid(f"{at}[{index}]", path, "conflicting duplicate paths"))
            seen.add(path)
    return found


def _paths(source: Json) -> Iterable[str]:
    for name in ("configMap", "secret", "downwardAPI"):
        for item in (source.get(name) or {}).get("items") or ():
            yield item.get("path") or ""
    token = source.get("serviceAccountToken")
    if token is not None:
        yield token.get("path") or ""


# -- claims and images -------------------------------------------------------------------------------------------------


def _claim(at: str, given: Mapping[str, Any]) -> list[Problem]:
    return [] if given.get("claimName") else [required(f"{at}.claimName")]


def _ephemeral(at: str, given: Mapping[str, Any]) -> list[Problem]:
    template = given.get("volumeClaimTemplate")
    if template is None:
        return [required(f"{at}.volumeClaimTemplate")]
    here, meta = f"{at}.volumeClaimTemplate", template.get("metadata") or {}
    found = label_problems(meta.get("labels"), f"{here}.metadata.labels")
    for name, value in meta.items():
        if value and name not in ("labels", "annotations"):
            found.append(forbidden(f"{here}.metadata.{name}", "cannot be set"))
    return found + spec_problems(f"{here}.spec", claim_spec(template.get("spec")))


def _image(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found = [] if given.get("reference") else [required(f"{at}.reference")]
    policy = given.get("pullPolicy")
    return found + (one_of(f"{at}.pullPolicy", policy, _PULL_POLICIES) if policy else [])


_RULES: Mapping[str, Callable[[str, Mapping[str, Any]], list[Problem]]] = {
    "hostPath": host_path_problems,
    "emptyDir": _empty_dir,
    "configMap": _named("name"),
    "secret": _named("secretName"),
    "downwardAPI": _downward,
    "projected": _projected,
    "persistentVolumeClaim": _claim,
    "ephemeral": _ephemeral,
    "image": _image,
}
