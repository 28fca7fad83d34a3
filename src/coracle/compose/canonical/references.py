"""What a service says of other things: dependencies, networks, secrets, configs, files, limits, devices."""

from __future__ import annotations

from typing import Any

from coracle.compose.canonical.shapes import Setting, boolean, each, fields, integer, local_path, mapping, mode
from coracle.compose.places import Path

_ATTACHED = each(fields({"driver_opts": mapping, "priority": integer, "gw_priority": integer}))


def depends_on(value: Any, path: Path, setting: Setting) -> Any:
    """`[a]` or `{a: {condition: ...}}`: a mapping that says condition and `required`."""
    if isinstance(value, list):
        value = {name: {} for name in value}
    shape = fields({"restart": boolean, "required": boolean})
    return {
        name: {"condition": "service_started", "required": True, **shape(given or {}, (*path, name), setting)}
        for name, given in (value or {}).items()
    }


def networks(value: Any, path: Path, setting: Setting) -> Any:
    return dict.fromkeys(value) if isinstance(value, list) else _ATTACHED(value, path, setting)


def attachment(value: Any, path: Path, setting: Setting) -> Any:
    """A secret or config that a service uses: its name, or a mapping with `source`."""
    return fields({"mode": mode})({"source": value} if isinstance(value, str) else value, path, setting)


def env_file(value: Any, path: Path, setting: Setting) -> Any:
    """Files of variables: a list of `{path, required}`."""
    listed = value if isinstance(value, list) else [value]
    shape = fields({"path": local_path, "required": boolean})
    return [
        {"required": True, **shape({"path": entry} if isinstance(entry, str) else entry, (*path, at), setting)}
        for at, entry in enumerate(listed)
    ]


def label_file(value: Any, path: Path, setting: Setting) -> Any:
    return [local_path(entry, path, setting) for entry in (value if isinstance(value, list) else [value])]


def extends(value: Any, path: Path, setting: Setting) -> Any:
    """`{service, file}`; the file's path is absolute."""
    return fields({"file": local_path})({"service": value} if isinstance(value, str) else value, path, setting)


def ulimit(value: Any, path: Path, setting: Setting) -> Any:
    if isinstance(value, dict):
        return fields({"soft": integer, "hard": integer})(value, path, setting)
    return integer(value, path, setting)


def device(value: Any, path: Path, setting: Setting) -> Any:
    """`/dev/a[:/dev/b[:rwm]]`, or a CDI name (`vendor.com/class=name`)."""
    if not isinstance(value, str):
        return {"permissions": "rwm", **value} if value.get("target") else value
    parts = value.split(":")
    if len(parts) > 3:
        raise setting.places.fault(path, f"confusing device mapping, please use long syntax: {value}")
    source, target, permissions = (*parts, *("", "")[: 3 - len(parts)])[:3]
    return {"source": source, "target": target or source, "permissions": permissions or "rwm"}
