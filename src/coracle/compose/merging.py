"""How a later file changes an earlier one: mappings merge, lists grow, scalars are replaced, with the exceptions below.

Both sides are in canonical form.  Commands and tests are replaced whole; logging options merge only within one driver;
lists whose entries stand for one thing each (ports, volumes, devices, secrets, ...) hold each thing once, as said last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coracle.compose.places import Path, Places, dotted

Key = Callable[[Any], Any]


def _port(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    address = entry.get("host_ip") or "0.0.0.0"  # noqa: S104 - compared, not listened on
    return address, entry.get("published"), entry.get("target"), entry.get("protocol", "tcp")


def _field(name: str, prefix: str = "") -> Key:
    def key(entry: Any) -> Any:
        return entry.get(name) or f"{prefix}{entry.get('source')}" if isinstance(entry, dict) else entry

    return key


def _watched(entry: Any) -> Any:
    return entry.get("path"), entry.get("action"), entry.get("target")


_REPLACED = {
    ("services", "*", "command"),
    ("services", "*", "entrypoint"),
    ("services", "*", "healthcheck", "test"),
}
_KEYS: dict[Path, Key] = {
    ("services", "*", "ports"): _port,
    ("services", "*", "volumes"): _field("target"),
    ("services", "*", "devices"): _field("target"),
    ("services", "*", "secrets"): _field("target", "/run/secrets/"),
    ("services", "*", "configs"): _field("target", "/"),
    ("services", "*", "build", "secrets"): _field("target", "/run/secrets/"),
    ("services", "*", "env_file"): _field("path"),
    ("services", "*", "develop", "watch"): _watched,
}
_SUBNETS = ("networks", "*", "ipam", "config")


def merge(base: Any, over: Any, places: Places, path: Path = ()) -> Any:
    """`base` changed by `over`; neither is touched.  Raises Malformed where a list meets a mapping."""
    pattern = _pattern(path)
    if base is None or over is None or pattern in _REPLACED:
        return over if over is not None or pattern in _REPLACED else base
    if pattern == ("services", "*", "logging") and _other_driver(base, over):
        return over
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {
            key: merge(base[key], value, places, (*path, key))
            if key in base and not str(key).startswith("x-")
            else value
            for key, value in over.items()
        }
    if isinstance(base, list) and isinstance(over, list):
        if pattern == _SUBNETS:
            return _by_subnet(base, over)
        return once(base + over, _KEYS.get(pattern, _whole))
    if isinstance(base, dict | list) != isinstance(over, dict | list) and pattern[-2:-1] != ("ulimits",):
        raise places.fault(path, f"cannot override {dotted(path)}")
    return over


def unique(model: dict[str, Any]) -> dict[str, Any]:
    """`model` with each thing once in the services' lists; a thing said twice is as said last."""
    services = {}
    for name, service in (model.get("services") or {}).items():
        services[name] = {
            field: once(value, _KEYS.get(("services", "*", field), _whole))
            if isinstance(value, list) and ("services", "*", field) not in _REPLACED
            else value
            for field, value in service.items()
        }
    return {**model, "services": services} if services else model


def once(entries: list[Any], key: Key) -> list[Any]:
    """Each thing in the place where it came first, as it was said last."""
    found: dict[Any, Any] = {}
    for entry in entries:
        found[key(entry)] = entry
    return list(found.values())


def clear(model: dict[str, Any], paths: set[Path]) -> dict[str, Any]:
    """`model` without what is at `paths`."""
    for path in paths:
        model = _without(model, path)
    return model


def _without(value: Any, path: Path) -> Any:
    if not path or not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {key: item for key, item in value.items() if key != path[0]}
    return {**value, path[0]: _without(value[path[0]], path[1:])}


def _pattern(path: Path) -> Path:
    return (path[0], "*", *path[2:]) if len(path) > 1 else path


def _other_driver(base: dict[str, Any], over: dict[str, Any]) -> bool:
    return "driver" in base and "driver" in over and base["driver"] != over["driver"]


def _by_subnet(base: list[Any], over: list[Any]) -> list[Any]:
    found = {entry.get("subnet"): entry for entry in base}
    for entry in over:
        found[entry.get("subnet")] = {**found.get(entry.get("subnet"), {}), **entry}
    return list(found.values())


def _whole(entry: Any) -> Any:
    return repr(entry) if isinstance(entry, dict | list) else entry
