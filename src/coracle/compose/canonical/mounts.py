"""A service's volumes: `data:/var/lib/data`, `./src:/code:ro`, `/anonymous`, and the long form."""

from __future__ import annotations

from typing import Any

from coracle.compose.canonical.shapes import (
    Setting,
    absolute,
    boolean,
    fields,
    labels,
    mode,
    size,
)
from coracle.compose.places import Path

_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_LONG = fields(
    {
        "read_only": boolean,
        "bind": fields({"create_host_path": boolean}),
        "volume": fields({"nocopy": boolean, "labels": labels}),
        "tmpfs": fields({"size": size, "mode": mode}),
    }
)


def mount(value: Any, path: Path, setting: Setting) -> Any:
    """One entry of `volumes`, in its long form; a one-letter name is a volume, there being no drives here."""
    if isinstance(value, str):
        if setting.raw and "$" in value:
            return value
        try:
            found = parse(value)
        except ValueError as error:
            raise setting.places.fault(path, f"invalid spec: {value}: {error}") from error
    else:
        found = _LONG(value, path, setting)
        if "target" not in found:
            raise setting.places.fault(path, "invalid mount: missing target")
        if found.get("type") == "bind" and not found.get("source"):
            raise setting.places.fault(path, 'invalid mount config for type "bind": field Source must not be empty')
    if found.get("type") == "bind" and found.get("source"):
        found["source"] = absolute(found["source"], setting)
    return found


def parse(text: str) -> dict[str, Any]:
    """The mount that `[source:]target[:options]` means.  Raises ValueError in Compose's words."""
    parts = text.split(":")
    if not all(parts):
        raise ValueError("empty section between colons")
    if len(parts) > 3:
        raise ValueError("too many colons")
    source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    if source.startswith((".", "/", "~")):
        found: dict[str, Any] = {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": True}}
    else:
        found = {"type": "volume", **({"source": source} if source else {}), "target": target, "volume": {}}
    for option in parts[2].split(",") if len(parts) == 3 else ():
        _apply(option, found)
    return found


def _apply(option: str, found: dict[str, Any]) -> None:
    if option == "ro":
        found["read_only"] = True
    elif option == "nocopy":
        found.setdefault("volume", {})["nocopy"] = True
    elif option in ("z", "Z"):
        found.setdefault("bind", {})["selinux"] = option
    elif option in _PROPAGATIONS:
        found.setdefault("bind", {})["propagation"] = option
