"""A service as `run` changes it for a container of its own; pure."""

from __future__ import annotations

import os.path
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coracle.compose.canonical import mounts, ports
from coracle.compose.project import Project
from coracle.core.errors import Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """As the options of `run`.

    environment   name -> value; a name without a value takes away nothing and sets nothing
    directory     where relative paths of `volumes` start
    entrypoint    None: as in the file; "": the image's is taken away
    """

    command: Sequence[str] = ()
    entrypoint: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Sequence[str] = ()
    user: str = ""
    working_dir: str = ""
    volumes: Sequence[str] = ()
    directory: str = "/"
    publish: Sequence[str] = ()
    service_ports: bool = False
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()
    tty: bool = False
    interactive: bool = True


def changed(project: Project, name: str, changes: Changes) -> Project:
    """The project, its service `name` changed.  Raises Malformed for what cannot be read."""
    service = dict(project.services[name])
    service |= {"tty": changes.tty, "stdin_open": changes.interactive}
    service |= {key: value for key, value in _told(changes).items() if value}
    if changes.entrypoint is not None:
        service["entrypoint"] = _words(changes.entrypoint)
        service["command"] = list(changes.command)
    service["environment"] = {**(service.get("environment") or {}), **changes.environment}
    service["labels"] = {**(service.get("labels") or {}), **_labels(changes.labels)}
    service["ports"] = _ports(service, changes)
    service["cap_add"] = _capabilities(service.get("cap_add"), changes.cap_add, changes.cap_drop)
    service["cap_drop"] = _capabilities(service.get("cap_drop"), changes.cap_drop, changes.cap_add)
    added = [_mount(text, changes.directory) for text in changes.volumes]
    covered = {mount["target"] for mount in added}
    kept = [mount for mount in service.get("volumes") or () if mount["target"] not in covered]
    service["volumes"] = [*kept, *added]
    model = {**project.model, "services": {**project.services, name: service}}
    known = model.get("volumes") or {}
    strange = {mount["source"] for mount in added if mount["type"] == "volume" and mount.get("source")} - set(known)
    model["volumes"] = {**known, **{source: {"name": source, "external": True} for source in sorted(strange)}}
    return replace(project, model=model)


def _told(changes: Changes) -> dict[str, Any]:
    return {"command": list(changes.command), "user": changes.user, "working_dir": changes.working_dir}


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Malformed(f"invalid entrypoint {text!r}: {error}") from error


def _labels(given: Sequence[str]) -> dict[str, str]:
    for text in given:
        if "=" not in text:
            raise Malformed("label must be set as KEY=VALUE")
    return dict(text.split("=", 1) for text in given)


def _ports(service: Mapping[str, Any], changes: Changes) -> list[dict[str, Any]]:
    if changes.service_ports:
        return list(service.get("ports") or ())
    try:
        return [port for text in changes.publish for port in ports.parse(text)]
    except ValueError as error:
        raise Malformed(str(error)) from error


def _capabilities(given: Sequence[str] | None, added: Sequence[str], taken: Sequence[str]) -> list[str]:
    return [one for one in given or () if one not in taken] + list(added)


def _mount(text: str, directory: str) -> dict[str, Any]:
    try:
        found = mounts.parse(text)
    except ValueError as error:
        raise Malformed(f"invalid spec: {text}: {error}") from error
    if found["type"] == "bind":
        found["source"] = os.path.normpath(os.path.join(directory, os.path.expanduser(found["source"])))
    return found
