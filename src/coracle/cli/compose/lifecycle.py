"""`coracle compose create`, `start`, `stop`, `restart`, `scale`, `rm` and `down`: each one declaration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command, ignored
from coracle.cli.compose.making import Making, making_options, scales

timeout_option = click.option(
    "-t", "--timeout", "timeout_s", type=int, metavar="SECONDS", help="Until containers that do not stop are killed."
)


@click.command("create", cls=Command, short_help="Make the containers, and start none.")
@click.argument("services", nargs=-1)
@making_options
@click.pass_obj
def create(chosen: Chosen, *, services: Sequence[str], making: Making) -> None:
    """Make the containers of the services, with what they need, and start none."""
    from coracle.cli.compose.building import whole
    from coracle.cli.compose.declaring import declaration, settled

    making.check_alone()
    project = chosen.project(services)
    making.check(chosen, project)
    project = whole(project, services)
    making.prepare(chosen, project, services)
    body = declaration("create", project, services, **making.words(chosen))
    settled(chosen, project.name, body, "Creating", project)


@click.command("start", cls=Command, short_help="Start containers that there are.")
@click.argument("services", nargs=-1)
@click.pass_obj
def start(chosen: Chosen, *, services: Sequence[str]) -> None:
    """Start containers that are there and do not run."""
    _declare(chosen, "start", services)


@click.command("stop", cls=Command, short_help="Stop containers, and keep them.")
@click.argument("services", nargs=-1)
@timeout_option
@click.pass_obj
def stop(chosen: Chosen, *, services: Sequence[str], timeout_s: int | None) -> None:
    """Stop containers, dependents first, and keep them."""
    _declare(chosen, "stop", services, "Stopping", timeout_s=timeout_s)


@click.command("restart", cls=Command, short_help="Restart containers.")
@click.argument("services", nargs=-1)
@click.option("--no-deps", is_flag=True, help="Leave services that depend on these alone.")
@timeout_option
@click.pass_obj
def restart(chosen: Chosen, *, services: Sequence[str], no_deps: bool, timeout_s: int | None) -> None:
    """Restart containers as they are; what the files say since is not looked at."""
    _declare(chosen, "restart", services, "Restarting", no_deps=no_deps, timeout_s=timeout_s)


@click.command("scale", cls=Command, short_help="Set how many containers services have.")
@click.argument("scale", nargs=-1, metavar="SERVICE=REPLICAS...")
@click.option("--no-deps", is_flag=True, help="Do not start what the services depend on.")
@click.pass_obj
def scale(chosen: Chosen, *, scale: Sequence[str], no_deps: bool) -> None:
    """Set how many containers services have."""
    from coracle.cli.compose.building import whole
    from coracle.cli.compose.declaring import declaration, settled

    if not scale:
        fail("requires at least 1 arg(s), only received 0")
    wanted = scales(scale, "invalid scale specifier: {}")
    project = whole(chosen.project(list(wanted)), list(wanted), no_deps=no_deps)
    Making().prepare(chosen, project, list(wanted), no_deps=no_deps)
    body = declaration("scale", project, list(wanted), scale=wanted, no_deps=no_deps)
    settled(chosen, project.name, body, project=project)


@click.command("rm", cls=Command, short_help="Remove stopped containers.")
@click.argument("services", nargs=-1)
@ignored("-a", "--all")
@click.option("-f", "--force", is_flag=True, help="Without asking.")
@click.option("-s", "--stop", "stopped", is_flag=True, help="Stop them first where they run.")
@click.option("-v", "--volumes", is_flag=True, help="Also their anonymous volumes.")
@click.pass_obj
def rm(chosen: Chosen, *, services: Sequence[str], force: bool, stopped: bool, volumes: bool) -> None:
    """Remove stopped containers.  Their anonymous volumes stay, unless -v."""
    from coracle.cli.compose import containers
    from coracle.cli.compose.declaring import declaration, settled

    name, project = chosen.named(services)
    if stopped:
        settled(chosen, name, declaration("stop", project, services), "Stopping")
    present = containers.listed(chosen.docker(), name, services or (project.services if project else ()))
    ended = ("created", "exited", "dead")
    would_end = stopped and chosen.dry_run
    names = [containers.name_of(one) for one in present if would_end or one["State"] in ended]
    if not names:
        click.echo("No stopped containers", err=True)
        return
    said = f"Going to remove {', '.join(names)}"
    if force or chosen.dry_run:
        click.echo(said)
    elif not _confirmed(said):
        return
    settled(chosen, name, declaration("rm", project, services, volumes=volumes), "Removing")


def _confirmed(said: str) -> bool:
    """Asked of the terminal; no where there is none to ask."""
    try:
        return click.confirm(said)
    except click.Abort:
        click.echo()
        return False


@click.command("down", cls=Command, short_help="Stop and remove containers and networks.")
@click.argument("services", nargs=-1)
@click.option("--remove-orphans", is_flag=True, help="Also containers of services that the files do not have.")
@click.option("--rmi", "images", metavar="WHICH", default="", help="Also images: all, or local: those without a name.")
@timeout_option
@click.option(
    "-v",
    "--volumes",
    "--volume",
    "volumes",
    is_flag=True,
    help="Also volumes that the files name, and anonymous ones.",
)
@click.pass_obj
def down(
    chosen: Chosen,
    *,
    services: Sequence[str] = (),
    remove_orphans: bool = False,
    images: str = "",
    timeout_s: int | None = None,
    volumes: bool = False,
) -> None:
    """Stop and remove the containers and networks of the project, or of the services."""
    if images not in ("", "all", "local"):
        fail(f'invalid value for --rmi: "{images}"')
    orphans = remove_orphans or chosen.says("COMPOSE_REMOVE_ORPHANS")
    given: dict[str, Any] = {"remove_orphans": orphans, "images": images, "timeout_s": timeout_s, "volumes": volumes}
    _declare(chosen, "down", services, "Running", **given)


def _declare(chosen: Chosen, action: str, services: Sequence[str], title: str = "Running", **given: Any) -> None:
    from coracle.cli.compose.declaring import declaration, settled

    name, project = chosen.named(services)
    settled(chosen, name, declaration(action, project, services, **given), title)
