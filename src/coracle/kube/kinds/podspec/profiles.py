"""AppArmor profiles as annotations of pods: the older way of saying it, put into the fields of a new pod.  Pure.

Source: Kubernetes documentation, "Restrict a Container's Access to Resources with AppArmor"; its KEP 24.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, invalid
from coracle.core.object import Json

PREFIX = "container.apparmor.security.beta.kubernetes.io/"
_LOCALHOST = "localhost/"
_GROUPS = ("initContainers", "containers")


def profiled(spec: Json, annotations: Mapping[str, str]) -> Json:
    """`spec` with the profiles in the annotations, for the containers that name none themselves."""
    if not any(key.startswith(PREFIX) for key in annotations):
        return spec
    changed = {group: [_profiled(one, annotations) for one in spec[group]] for group in _GROUPS if spec.get(group)}
    return {**spec, **changed}


def _profiled(container: Json, annotations: Mapping[str, str]) -> Json:
    own = container.get("securityContext") or {}
    field = _field(annotations.get(PREFIX + str(container.get("name")), ""))
    if field is None or own.get("appArmorProfile") is not None:
        return container
    return {**container, "securityContext": {**own, "appArmorProfile": field}}


def _field(said: str) -> Json | None:
    if said == "unconfined":
        return {"type": "Unconfined"}
    if said == "runtime/default":
        return {"type": "RuntimeDefault"}
    name = said.removeprefix(_LOCALHOST)
    return {"type": "Localhost", "localhostProfile": name} if said.startswith(_LOCALHOST) and name else None


def problems(annotations: Mapping[str, str], spec: Mapping[str, Any], at: str) -> list[Problem]:
    """`at`: the path of the annotations."""
    found: list[Problem] = []
    names = {one.get("name") for group in _GROUPS for one in spec.get(group) or ()}
    for key, said in annotations.items():
        name = key.removeprefix(PREFIX)
        if key.startswith(PREFIX) and name not in names:
            found.append(invalid(f"{at}[{key}]", name, "container not found"))
        elif key.startswith(PREFIX) and said and _field(said) is None:
            found.append(invalid(f"{at}[{key}]", said, "invalid AppArmor profile name"))
    return found
