"""Waiting, on our side, for what a one-off container's service depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coracle.cli.compose import containers
from coracle.cli.compose.chosen import fail
from coracle.cli.docker.client import Docker, Refused, json_lines
from coracle.compose.projects.conditions import is_required, verdict
from coracle.compose.projects.seen import Seen, seen


def wait_for_dependencies(docker: Docker, project: str, depends_on: Mapping[str, Any]) -> None:
    """Until every condition is so.  Ends the program where one cannot become so; Docker's events say when to look."""
    if not depends_on:
        return
    filters = {"type": ["container"], "label": [f"{containers.LABEL}project={project}"]}
    with docker.read("GET", "/events", {"filters": filters}) as events:
        changes = json_lines(events)
        waiting = dict(depends_on)
        while waiting := {name: how for name, how in waiting.items() if not _is_so(docker, project, name, how)}:
            if next(changes, None) is None:
                fail("the cloud went away")


def _is_so(docker: Docker, project: str, name: str, how: Mapping[str, Any]) -> bool:
    found = verdict(how["condition"], name, list(_seen(docker, project, name)))
    if found.answer == "never" and is_required(how):
        fail(found.why)
    return found.answer != "not yet"


def _seen(docker: Docker, project: str, service: str) -> Iterator[Seen]:
    for container in containers.listed(docker, project, [service]):
        try:
            yield seen(docker.call("GET", f"/containers/{container['Id']}/json"))
        except Refused as error:
            if error.status != 404:
                raise
