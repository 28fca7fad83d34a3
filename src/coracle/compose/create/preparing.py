"""Before a project is declared: what only the user's side knows is put into the model, and what is not supported said.

`prepared` leaves a model that is whole by itself: secrets and configs are `{"file": path}` or `{"content": text}`, a
seccomp profile is its text.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from coracle.compose import files
from coracle.compose.create.support import check
from coracle.compose.project import Project, with_resources
from coracle.core.errors import Invalid, Malformed, NotFound


def prepared(project: Project, read: Callable[[str], str] = files.read, only: Collection[str] | None = None) -> Project:
    """The project, its model whole as far as the services `only` (None: all) need it; `warnings` are only the new ones.

    Raises Malformed for what is not supported, NotFound for a profile that is not there.
    """
    model = dict(project.model)
    if only is not None:
        taking_part = {name: service for name, service in project.services.items() if name in only}
        model = with_resources({**model, "services": taking_part}, project.name, project.directory)
    warnings = check(replace(project, model=model))
    for kind in ("secrets", "configs"):
        if model.get(kind):
            model[kind] = {key: _defined(thing, kind, project.environment) for key, thing in model[kind].items()}
    services = model["services"].items()
    whole = {name: _with_profile(service, project.directory, read) for name, service in services}
    others = {kind: {**(project.model.get(kind) or {}), **(model.get(kind) or {})} for kind in ("networks", "volumes")}
    model = {**model, **others, "services": {**project.services, **whole}}
    return replace(project, model=model, warnings=tuple(warnings))


def _defined(thing: Mapping[str, Any], kind: str, environment: Mapping[str, str]) -> dict[str, Any]:
    kept = {"name": thing["name"]}
    if thing.get("file"):
        return {**kept, "file": thing["file"]}
    if thing.get("content") is not None:
        return {**kept, "content": thing["content"]}
    variable = thing["environment"]
    if variable not in environment:
        one = kind.removesuffix("s")
        raise Malformed(f'environment variable "{variable}" required by {one} "{thing["name"]}" is not set')
    return {**kept, "content": environment[variable]}


def _with_profile(service: dict[str, Any], directory: str, read: Callable[[str], str]) -> dict[str, Any]:
    options = service.get("security_opt") or []
    found = [_option(option, directory, read) for option in options]
    return service if found == options else {**service, "security_opt": found}


def _option(option: str, directory: str, read: Callable[[str], str]) -> str:
    sign = "=" if "=" in option else ":"
    name, _, value = option.partition(sign)
    if name != "seccomp" or value in ("unconfined", "builtin", "default") or value.lstrip().startswith("{"):
        return option
    try:
        text = read(os.path.join(directory, value))
    except (NotFound, Invalid) as error:
        raise NotFound(f"opening seccomp profile ({value}) failed: {error.message}") from error
    try:
        return "seccomp=" + json.dumps(json.loads(text), separators=(",", ":"))
    except ValueError as error:
        raise Malformed(f"compacting json for seccomp profile ({value}) failed: {error}") from error
