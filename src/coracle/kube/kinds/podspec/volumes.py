"""The rules for a pod's volumes and for mounting them.

Source: Kubernetes v1 API, Volume, VolumeMount, VolumeDevice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from coracle.core.errors import Problem, forbidden, invalid, not_found, required
from coracle.core.object import Json
from coracle.kube.kinds.podspec import volumesources
from coracle.kube.kinds.podspec.volumesources import below
from coracle.kube.kinds.rules import named, unique, unsupported

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIONS = ("Disabled", "Enabled", "IfPossible")


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
            found += volumesources.problems(f"{at}.{source}", source, volume[source])
    return found


def devices(at: str, container: Json, volumes: Sequence[Json]) -> list[Problem]:
    """A container's volumeDevices, against the pod's volumes and the container's volumeMounts."""
    given, mounted = container.get("volumeDevices") or (), container.get("volumeMounts") or ()
    known = {volume.get("name"): _may_be_a_device(volume) for volume in volumes}
    found: list[Problem] = []
    for index, device in enumerate(given):
        here, name, path = f"{at}[{index}]", device.get("name") or "", device.get("devicePath") or ""
        others = [*given[:index], *mounted]
        found += _device_name(f"{here}.name", name, known)
        if not path:
            found.append(required(f"{here}.devicePath"))
        elif ".." in path.split("/"):
            found.append(invalid(f"{here}.devicePath", path, "can not contain backsteps ('..')"))
        if name and name in (one.get("name") for one in others):
            said = "must not already exist in volumeMounts" if _has(mounted, "name", name) else "must be unique"
            found.append(invalid(f"{here}.name", name, said))
        if path and (_has(mounted, "mountPath", path) or _has(given[:index], "devicePath", path)):
            in_mounts = "must not already exist as a path in volumeMounts"
            said = in_mounts if _has(mounted, "mountPath", path) else "must be unique"
            found.append(invalid(f"{here}.devicePath", path, said))
    return found


def _has(given: Sequence[Json], field: str, value: str) -> bool:
    return any(one.get(field) == value for one in given)


def _may_be_a_device(volume: Json) -> bool:
    return any(volume.get(name) is not None for name in ("persistentVolumeClaim", "ephemeral"))


def _device_name(at: str, name: str, known: Mapping[str | None, bool]) -> list[Problem]:
    if not name:
        return [required(at)]
    if name not in known:
        return [not_found(at, name)]
    said = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
    return [] if known[name] else [invalid(at, name, said)]


def mounts(at: str, given: Sequence[Json], volumes: Iterable[str], *, privileged: bool = True) -> list[Problem]:
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
        found += _sub_path(here, mount) + _propagation(here, mount, privileged=privileged) + _recursion(here, mount)
    return found


def _sub_path(at: str, mount: Json) -> list[Problem]:
    found: list[Problem] = []
    for field in ("subPath", "subPathExpr"):
        found += below(f"{at}.{field}", mount[field]) if mount.get(field) else []
    if mount.get("subPath") and mount.get("subPathExpr"):
        said = "subPathExpr and subPath are mutually exclusive"
        found.append(invalid(f"{at}.subPathExpr", mount["subPathExpr"], said))
    return found


def _propagation(at: str, mount: Json, *, privileged: bool) -> list[Problem]:
    said = mount.get("mountPropagation")
    if said is None:
        return []
    if said not in _PROPAGATIONS:
        return [unsupported(f"{at}.mountPropagation", said, _PROPAGATIONS)]
    if said == "Bidirectional" and not privileged:
        why = "Bidirectional mount propagation is available only to privileged containers"
        return [forbidden(f"{at}.mountPropagation", why)]
    return []


def _recursion(at: str, mount: Json) -> list[Problem]:
    said = mount.get("recursiveReadOnly")
    if said is None or said == "Disabled":
        return []
    here = f"{at}.recursiveReadOnly"
    if said not in _RECURSIONS:
        return [unsupported(here, said, _RECURSIONS)]
    found = [] if mount.get("readOnly") else [forbidden(here, "may only be specified when readOnly is true")]
    if mount.get("mountPropagation") not in (None, "None"):
        found.append(forbidden(here, "may only be specified when mountPropagation is None or not specified"))
    return found
