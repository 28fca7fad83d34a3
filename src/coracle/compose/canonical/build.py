"""`build`: a directory, or a mapping that says more."""

from __future__ import annotations

from typing import Any

from coracle.compose.canonical.references import attachment, ulimit
from coracle.compose.canonical.shapes import (
    Setting,
    boolean,
    context_path,
    each,
    fields,
    labels,
    mapping,
    size,
    strings,
)
from coracle.compose.places import Path


def extra_hosts(value: Any, path: Path, setting: Setting) -> Any:
    """`{name: address}` or `[name:address, name=address,address]`: a list of `name=address`."""
    if isinstance(value, dict):
        pairs = [(name, address) for name, given in value.items() for address in strings(given, path, setting)]
    else:
        pairs = []
        for at, entry in enumerate(value or ()):
            name, mark, address = entry.partition("=") if "=" in entry else entry.partition(":")
            if not mark or not name or not address:
                raise setting.places.fault((*path, at), f"invalid additional host, missing IP: {entry}")
            pairs += [(name, one) for one in address.split(",")]
    return [f"{name.strip()}={_bare(address.strip())}" for name, address in pairs]


def _bare(address: str) -> str:
    return address[1:-1] if address.startswith("[") and address.endswith("]") else address


def _contexts(value: Any, path: Path, setting: Setting) -> Any:
    found = mapping(value, path, setting) or {}
    return {name: context_path(given, (*path, name), setting) for name, given in found.items()}


def _ssh(value: Any, path: Path, setting: Setting) -> Any:
    return [key if given is None else f"{key}={given}" for key, given in (mapping(value, path, setting) or {}).items()]


_BUILD = fields(
    {
        "context": context_path,
        "args": mapping,
        "labels": labels,
        "ssh": _ssh,
        "additional_contexts": _contexts,
        "extra_hosts": extra_hosts,
        "shm_size": size,
        "secrets": each(attachment),
        "ulimits": each(ulimit),
        "no_cache": boolean,
        "pull": boolean,
        "privileged": boolean,
    }
)


def build(value: Any, path: Path, setting: Setting) -> Any:
    return _BUILD({"context": value} if isinstance(value, str) else value, path, setting)
