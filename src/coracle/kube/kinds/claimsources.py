"""What a claim's volume is to be made from: another claim, or what a provisioner knows.

`dataSource` and `dataSourceRef` say the same; the older one alone can tell of claims and snapshots only.

Source: Kubernetes v1 API, PersistentVolumeClaimSpec.dataSource, dataSourceRef; their normalisation and validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, invalid, required
from coracle.core.names import name_faults
from coracle.core.object import Json

CLAIM = ("", "PersistentVolumeClaim")
_OLD = (CLAIM, ("snapshot.storage.k8s.io", "VolumeSnapshot"))


def _sort(source: Mapping[str, Any]) -> tuple[str, str]:
    return source.get("apiGroup") or "", source.get("kind") or ""


def data_sources(spec: Json) -> Json:
    """The spec with both fields filled in, where they mean the same; other namespaces are not open to claims."""
    old, new = spec.get("dataSource"), spec.get("dataSourceRef")
    if old and _sort(old) not in _OLD:
        old = None
    if new is not None:
        new = {name: value for name, value in new.items() if name != "namespace"}
    old, new = old or new, new or old
    rest = {name: value for name, value in spec.items() if name not in ("dataSource", "dataSourceRef")}
    return {**rest, **({"dataSource": old} if old else {}), **({"dataSourceRef": new} if new else {})}


def data_source_problems(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    for name in ("dataSource", "dataSourceRef"):
        if spec.get(name) is not None:
            found += _one(f"{at}.{name}", spec[name])
    if spec.get("dataSource") and spec.get("dataSource") != spec.get("dataSourceRef"):
        found.append(invalid(at, f"{at}.dataSource", "must match dataSourceRef"))
    return found


def _one(at: str, source: Mapping[str, Any]) -> list[Problem]:
    group, kind = _sort(source)
    found = [required(f"{at}.{name}") for name in ("name", "kind") if not source.get(name)]
    if not group and kind != CLAIM[1]:
        found.append(invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
    faults = name_faults("subdomain", group) if group else []
    return found + [invalid(f"{at}.apiGroup", group, fault) for fault in faults]


def origin(spec: Mapping[str, Any]) -> tuple[str, str, str]:
    """(group, kind, name) of what the volume is to be made from; ("", "", ""): from nothing."""
    source = spec.get("dataSourceRef") or spec.get("dataSource") or {}
    return (*_sort(source), source.get("name") or "")
