"""`coracle compose run`: a container of its own for one command of a service."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command

if TYPE_CHECKING:
    from coracle.cli.docker.client import Docker
    from coracle.compose.create.containers import OneOff
    from coracle.compose.project import Project


@click.command(
    "run", cls=Command, short_help="Run one command of a service.", context_settings={"allow_interspersed_args": False}
)
@click.argument("service")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--build", is_flag=True, help="Build the image first.")
@click.option("--cap-add", multiple=True, metavar="NAME", help="Give it a capability.")
@click.option("--cap-drop", multiple=True, metavar="NAME", help="Take a capability from it.")
@click.option("-d", "--detach", is_flag=True, help="In the background; print the container's id.")
@click.option("--entrypoint", metavar="WORDS", help="Instead of the image's.")
@click.option("-e", "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("-i", "--interactive/--no-interactive", default=True, help="Keep its input open.  [default: yes]")
@click.option("-t", "--tty", is_flag=True, hidden=True, expose_value=False)
@click.option("-l", "--label", "--labels", "labels", multiple=True, metavar="NAME=VALUE", help="Add a label.")
@click.option("--name", default="", metavar="NAME", help="The container's name.")
@click.option("-T", "--no-TTY", "no_tty", is_flag=True, help="Without a terminal.  [default: with, where we have one]")
@click.option("--no-deps", is_flag=True, help="Do not start what the service depends on.")
@click.option("-p", "--publish", multiple=True, metavar="PORT", help="Publish a port.")
@click.option("--pull", default="", metavar="WHEN", help="Pull the image first: always, missing, never.")
@click.option("--quiet-pull", is_flag=True, help="Pull without saying how far it has come.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of services that the files do not have.")
@click.option("--rm", "auto_remove", is_flag=True, help="Remove the container when it ends.")
@click.option("-P", "--service-ports", is_flag=True, help="Publish the service's ports.")
@click.option("--use-aliases", is_flag=True, help="Let others find it by the service's name.")
@click.option("-u", "--user", default="", metavar="USER", help="As this user.")
@click.option("-v", "--volume", "--volumes", "volumes", multiple=True, metavar="MOUNT", help="Mount something more.")
@click.option("-w", "--workdir", default="", metavar="DIR", help="In this directory.")
@click.pass_obj
def run(
    chosen: Chosen,
    /,
    *,
    service: str,
    detach: bool,
    interactive: bool,
    no_tty: bool,
    no_deps: bool,
    build: bool,
    pull: str,
    quiet_pull: bool,
    remove_orphans: bool,
    name: str,
    auto_remove: bool,
    use_aliases: bool,
    **changes: Any,
) -> None:
    """Run one command of a service in a container of its own; its exit code is ours."""
    from coracle.cli.compose.building import whole
    from coracle.cli.compose.making import Making
    from coracle.cli.compose.orphans import tidied
    from coracle.cli.compose.streams import Joining
    from coracle.cli.docker import terminal
    from coracle.compose.create.containers import OneOff

    if changes["publish"] and changes["service_ports"]:
        fail("--service-ports and --publish are incompatible")
    project = whole(chosen.project([service]), [service], no_deps=no_deps)
    tty = not no_tty and not detach and terminal.is_terminal(0, 1)
    told = _changed(chosen, project, service, tty=tty, interactive=interactive, **changes)
    docker = chosen.docker()
    making = Making(remove_orphans=remove_orphans, pull=pull or "policy", quiet_pull=quiet_pull)
    making.check_alone()
    if no_deps or not _start_dependencies(chosen, docker, project, service, making):
        tidied(chosen, docker, project, making)
    replace(making, build=build).prepare(chosen, project, [service], no_deps=True)
    _make_things(docker, project, service)
    slug = secrets.token_hex(32)
    wanted = OneOff(
        name=name or project.services[service].get("container_name") or f"{project.name}-{service}-run-{slug[:12]}",
        slug=slug,
        auto_remove=auto_remove,
        attach_stdin=interactive,
        use_aliases=use_aliases,
    )
    id = _create(docker, told, service, wanted)
    if detach:
        _start(docker, id)
        click.echo(id)
        return
    joining = Joining(docker, id, tty=tty, stdin=interactive)
    sys.exit(joining.run(start=lambda: _start(docker, id), removed=auto_remove))


def _changed(chosen: Chosen, project: Project, service: str, **given: Any) -> Project:
    from coracle.cli.compose.streams import given_variables
    from coracle.compose.oneoff import Changes, changed
    from coracle.core.errors import Malformed

    variables = given_variables(given.pop("variables"), project.environment)
    changes = Changes(
        environment=dict(pair.split("=", 1) for pair in variables),
        working_dir=given.pop("workdir"),
        directory=chosen.request.working_directory,
        **given,
    )
    try:
        return changed(project, service, changes)
    except Malformed as error:
        fail(error.message)


def _start_dependencies(chosen: Chosen, docker: Docker, project: Project, service: str, making: Any) -> bool:
    """Whether there are any."""
    from coracle.cli.compose.awaiting import wait_for_dependencies
    from coracle.cli.compose.declaring import declaration, settled

    depends_on: Mapping[str, Any] = project.services[service].get("depends_on") or {}
    names = [name for name in depends_on if name in project.services]
    if not names:
        return False
    making.prepare(chosen, project, names)
    settled(chosen, project.name, declaration("up", project, names, **making.words(chosen)))
    wait_for_dependencies(docker, project.name, {name: depends_on[name] for name in names})
    return True


def _make_things(docker: Docker, project: Project, service: str) -> None:
    """The service's networks and volumes, where they are not there."""
    from coracle.compose.create.networks import network_body
    from coracle.compose.create.volumes import volume_body

    given = project.services[service]
    named = [one["source"] for one in given.get("volumes") or () if one["type"] == "volume" and one.get("source")]
    for kind, keys, body_of in (
        ("networks", given.get("networks") or (), network_body),
        ("volumes", named, volume_body),
    ):
        for key in keys:
            name, body = project.model[kind][key]["name"], body_of(project.model, key)
            if body and not _is_there(docker, f"/{kind}/{name}"):
                docker.call("POST", f"/{kind}/create", None, body)


def _is_there(docker: Docker, path: str) -> bool:
    from coracle.cli.docker.client import Refused

    try:
        docker.call("GET", path)
    except Refused as error:
        if error.status == 404:
            return False
        raise
    return True


def _create(docker: Docker, project: Project, service: str, one_off: OneOff) -> str:
    """The new container's id; its secrets and configs are in it."""
    from coracle.compose.create.containers import Origin, container_body, wanted_hash
    from coracle.compose.create.files import archive
    from coracle.core.clock import SystemClock

    model, name = project.model, project.image_of(service)
    image = docker.call("GET", f"/images/{name}/json")
    origin = Origin(
        image=name,
        image_id=image["Id"],
        hash=wanted_hash(model, service, image["Id"]),
        directory=project.directory,
        files=project.files,
    )
    body = container_body(
        model,
        service,
        1,
        origin,
        one_off=one_off,
        others=_others(docker, project),
        image_volumes=tuple((image.get("Config") or {}).get("Volumes") or ()),
    )
    query = {"name": one_off.name, "platform": model["services"][service].get("platform")}
    id = str(docker.call("POST", "/containers/create", query, body)["Id"])
    if packed := archive(model, service, SystemClock().now_s()):
        with docker.send("PUT", f"/containers/{id}/archive", {"path": "/"}, [packed]):
            pass
    return id


def _others(docker: Docker, project: Project) -> dict[str, Any]:
    from coracle.cli.compose import containers
    from coracle.compose.create.containers import Other

    found: dict[str, Any] = {name: [] for name in project.services}
    for one in containers.listed(docker, project.name):
        found.setdefault(containers.service_of(one), []).append(Other(one["Id"], containers.name_of(one)))
    return found


def _start(docker: Docker, id: str) -> None:
    """Start it; where that does not work it is not left behind."""
    from coracle.cli.docker.client import Refused

    try:
        docker.call("POST", f"/containers/{id}/start")
    except Refused:
        with contextlib.suppress(Refused):  # --rm has removed it already
            docker.call("DELETE", f"/containers/{id}", {"force": True, "v": True})
        raise
