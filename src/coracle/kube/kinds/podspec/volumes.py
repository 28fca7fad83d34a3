"""The rules for a pod's volumes and for mounting them.

Source: Kubernetes v1 API, Volume, VolumeMount.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coracle.core.errors import Problem, forbidden, invalid, not_found, required
from coracle.core.object import Json
from coracle.kube.kinds.rules import named, one_of, optional_name, quantity, unique

_HOST_PATHS = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")


def problems(at: str, volumes: Sequence[Json]) -> list[Problem]:
    found = unique(lambda index: f"{at}[{index}].name", (volume.get("name") for volume in volumes))
    for index, volume in enumerate(volumes):
        found += _volume(f"{at}[{index}]", volume)
    return found


def _volume(at: str, volume: Json) -> list[Problem]:
    found = named("label", f"{at}.name", volume.get("name"))
    sources = [name for name, value in volume.items() if name != "name" and value is not None]
    for number, source in enumerate(sources):
        if number:
            found.append(forbidden(f"{at}.{source}", "may not specify more than 1 volume type"))
        else:
            found += _source(f"{at}.{source}", source, volume[source])
    return found


def _source(at: str, source: str, given: Json) -> list[Problem]:
    match source:
        case "hostPath":
            return _host_path(at, given)
        case "emptyDir":
            return quantity(f"{at}.sizeLimit", given["sizeLimit"]) if given.get("sizeLimit") is not None else []
        case "configMap":
            return optional_name("subdomain", f"{at}.name", given.get("name")) or _files(at, given, "name")
        case "secret":
            return _files(at, given, "secretName")
        case "persistentVolumeClaim":
            return named("subdomain", f"{at}.claimName", given.get("claimName"))
    return _mode(f"{at}.defaultMode", given)


def _host_path(at: str, given: Json) -> list[Problem]:
    path = given.get("path") or ""
    found = [] if path else [required(f"{at}.path")]
    found += _no_way_up(f"{at}.path", path)
    return found + (one_of(f"{at}.type", given["type"], _HOST_PATHS) if given.get("type") else [])


def _files(at: str, given: Json, name: str) -> list[Problem]:
    found = [] if given.get(name) else [required(f"{at}.{name}")]
    found += _mode(f"{at}.defaultMode", given)
    for index, item in enumerate(given.get("items") or ()):
        here = f"{at}.items[{index}]"
        found += [] if item.get("key") else [required(f"{here}.key")]
        found += _below(f"{here}.path", item["path"]) if item.get("path") else [required(f"{here}.path")]
    return found


def _mode(at: str, given: Json) -> list[Problem]:
    mode = given.get("defaultMode")
    wrong = mode is not None and not 0 <= mode <= 0o777
    return [invalid(at, mode, "must be a number between 0 and 0777 (octal), both inclusive")] if wrong else []


def mounts(at: str, given: Sequence[Json], volumes: Iterable[str]) -> list[Problem]:
    """A container's volumeMounts, against the names of the pod's volumes."""
    known, places = set(volumes), set()
    found: list[Problem] = []
    for index, mount in enumerate(given):
        here, name, path = f"{at}[{index}]", mount.get("name"), mount.get("mountPath")
        if not name:
            found.append(required(f"{here}.name"))
        elif name not in known:
            found.append(not_found(f"{here}.name", name))
        if not path:
            found.append(required(f"{here}.mountPath"))
        if path in places:
            found.append(invalid(f"{here}.mountPath", path, "must be unique"))
        places.add(path)
        found += _sub_path(here, mount)
    return found


def _sub_path(at: str, mount: Json) -> list[Problem]:
    found: list[Problem] = []
    for field in ("subPath", "subPathExpr"):
        found += _below(f"{at}.{field}", mount[field]) if mount.get(field) else []
    if mount.get("subPath") and mount.get("subPathExpr"):
        said = "subPathExpr and subPath are mutually exclusive"
        found.append(invalid(f"{at}.subPathExpr", mount["subPathExpr"], said))
    return found


def _below(at: str, path: str) -> list[Problem]:
    """A relative path that stays below where it starts."""
    absolute = [invalid(at, path, "must be a relative path")] if path.startswith("/") else []
    return absolute + _no_way_up(at, path)


def _no_way_up(at: str, path: str) -> list[Problem]:
    return [invalid(at, path, "must not contain '..'")] if ".." in path.split("/") else []
