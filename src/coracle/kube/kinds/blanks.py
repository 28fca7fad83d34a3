"""Fill in what the user left blank.

Kubernetes' fields come in two sorts: those where zero is a value of its own (`replicas: 0`), filled in only when
absent, and those where zero means "not said" (`protocol: ""`, `periodSeconds: 0`).  `null` is absent in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coracle.core.object import Json


def absent(given: Mapping[str, Any] | None, **defaults: Any) -> Json:
    """`given` without its nulls, and `defaults` where a field is not there."""
    said = {name: value for name, value in (given or {}).items() if value is not None}
    return {**defaults, **said}


def blank(given: Mapping[str, Any] | None, **defaults: Any) -> Json:
    """`given` without its nulls, and `defaults` where a field is not there or zero."""
    said = {name: value for name, value in (given or {}).items() if value is not None}
    return said | {name: default for name, default in defaults.items() if not said.get(name)}


def each(doc: Json, name: str, how: Callable[[Json], Json]) -> Json:
    """`doc` with `how` applied to every item of its list `name`, if it has one."""
    items = doc.get(name)
    return {**doc, name: [how(item) for item in items]} if items else doc


def inside(doc: Json, name: str, how: Callable[[Json], Json]) -> Json:
    """`doc` with `how` applied to its member `name`, if it has one."""
    return {**doc, name: how(doc[name])} if doc.get(name) is not None else doc
