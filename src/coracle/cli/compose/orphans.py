"""Containers that the files know nothing of, for `run`, where nothing is declared that would look for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coracle.cli.compose import containers
from coracle.cli.compose.chosen import Chosen
from coracle.cli.compose.making import Making

if TYPE_CHECKING:
    from coracle.cli.docker.client import Docker
    from coracle.compose.project import Project


def tidied(chosen: Chosen, docker: Docker, project: Project, making: Making) -> None:
    """Warn of containers of services that the files do not have; remove them, and ended one-offs, where asked to."""
    known = {*project.services, *project.left_out}
    present = containers.listed(docker, project.name, one_offs="with")
    strangers = [one for one in present if containers.service_of(one) not in known]
    if making.removes_orphans(chosen):
        over = [one for one in present if containers.is_one_off(one) and one["State"] in ("exited", "dead")]
        for one in {one["Id"]: one for one in (*strangers, *over)}.values():
            _remove(chosen, docker, one)
    elif strangers and not chosen.says("COMPOSE_IGNORE_ORPHANS"):
        names = " ".join(containers.name_of(one) for one in strangers)
        said = "If you removed or renamed this service in your compose file, you can run this command with the "
        click.echo(
            f"WARN Found orphan containers ([{names}]) for this project. {said}--remove-orphans flag to clean it up.",
            err=True,
        )


def _remove(chosen: Chosen, docker: Docker, container: containers.Summary) -> None:
    from coracle.cli.compose.progress import Event

    title, path = f"Container {containers.name_of(container)}", f"/containers/{container['Id']}"
    progress = chosen.shown("Removing")
    try:
        if container["State"] == "running":
            progress.say(Event(title, "Stopping"))
            docker.call("POST", f"{path}/stop")
            progress.say(Event(title, "Stopped"))
        progress.say(Event(title, "Removing"))
        docker.call("DELETE", path, {"force": True})
        progress.say(Event(title, "Removed"))
    finally:
        progress.close()
