"""What a service's container mounts: its `volumes`, and the files of its configs and secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from coracle.compose.create.bodies import without_empty
from coracle.compose.create.files import attached

_RECURSIVE = {
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}


def mounts(
    model: Mapping[str, Any],
    service: Mapping[str, Any],
    inherited: Iterable[Mapping[str, Any]] = (),
    image_volumes: Collection[str] = (),
) -> dict[str, Any]:
    """`Binds` and `Mounts`.

    inherited      `Mounts` of the container before this one, as inspect shows them: its anonymous volumes go over
    image_volumes  where the image has volumes of its own
    """
    given = {mount["target"]: mount for mount in service.get("volumes") or ()}
    nameless = {target for target, mount in given.items() if not mount.get("source") and mount["type"] == "volume"}
    found = {target: _mount(model, mount) for target, mount in given.items()}
    for old in inherited:
        target = old["Destination"]
        if target in nameless or (target in image_volumes and target not in given):
            found[target] = _kept(old)
    binds = []
    for target, mount in given.items():
        if target in found and mount["type"] == "bind" and _is_plain(mount):
            binds.append(_text(mount))
            del found[target]
    for target, path in file_mounts(model, service).items():
        if target not in given:
            found[target] = {"Type": "bind", "Source": path, "Target": target, "ReadOnly": True}
    return {"Binds": binds, "Mounts": list(found.values())}


def file_mounts(model: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, str]:
    """target -> the host's file, of configs and secrets that are files."""
    return {one.target: one.definition["file"] for one in attached(model, service) if one.definition.get("file")}


def _is_plain(mount: Mapping[str, Any]) -> bool:
    """Whether a text says it all, as `docker run -v` takes it: a missing directory is made then."""
    bind = mount.get("bind") or {}
    colons = ":" in mount["source"] + mount["target"]
    return bool(bind.get("create_host_path")) and not bind.get("recursive") and not colons


def _text(mount: Mapping[str, Any]) -> str:
    bind = mount["bind"]
    words = ["ro" if mount.get("read_only") else "rw", bind.get("selinux"), bind.get("propagation")]
    return f"{mount['source']}:{mount['target']}:{','.join(filter(None, words))}"


def _mount(model: Mapping[str, Any], mount: Mapping[str, Any]) -> dict[str, Any]:
    source = mount.get("source") or ""
    if mount["type"] == "volume" and source:
        source = model["volumes"][source]["name"]
    found = {
        "Type": mount["type"],
        "Source": source,
        "Target": mount["target"],
        "ReadOnly": mount.get("read_only"),
        "Consistency": mount.get("consistency"),
    }
    return without_empty({**found, **_options(mount)})


def _options(mount: Mapping[str, Any]) -> dict[str, Any]:
    given = mount.get(mount["type"]) or {}
    match mount["type"]:
        case "bind":
            made = {"Propagation": given.get("propagation"), "CreateMountpoint": given.get("create_host_path")}
            return {"BindOptions": without_empty({**made, **_RECURSIVE.get(given.get("recursive", ""), {})})}
        case "volume":
            asked = {"NoCopy": given.get("nocopy"), "Subpath": given.get("subpath"), "Labels": given.get("labels")}
            return {"VolumeOptions": without_empty(asked)}
        case "tmpfs":
            return {
                "TmpfsOptions": without_empty({"SizeBytes": int(given.get("size") or 0), "Mode": given.get("mode")})
            }
        case "image":
            return {"ImageOptions": without_empty({"Subpath": given.get("subpath")})}
    return {}


def _kept(old: Mapping[str, Any]) -> dict[str, Any]:
    """A mount that a container has, for the one after it."""
    source = old.get("Name") if old["Type"] == "volume" else old.get("Source")
    read_only = not old.get("RW", True)
    return without_empty({"Type": old["Type"], "Source": source, "Target": old["Destination"], "ReadOnly": read_only})
