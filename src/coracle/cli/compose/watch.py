"""`coracle compose watch`: files that change here change in the containers, as `develop.watch` says."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command

if TYPE_CHECKING:
    from coracle.compose.project import Project

_INTERRUPTED = 130


@click.command("watch", cls=Command, short_help="Bring changed files into the containers.")
@click.argument("services", nargs=-1)
@click.option("--no-up", is_flag=True, help="Do not build and start the services first.")
@click.option("--prune", is_flag=True, help="Remove the images that builds leave without a name.")
@click.option("--quiet", is_flag=True, help="Print nothing of builds.")
@click.pass_obj
def watch(chosen: Chosen, *, services: Sequence[str], no_up: bool, prune: bool, quiet: bool) -> None:
    """Build and start the services, then do what `develop.watch` says about each file that changes, until Ctrl-C.

    sync brings it into the containers; sync+restart also restarts them, sync+exec runs a command in them; restart only
    restarts; rebuild builds the image and makes the containers anew.
    """
    from coracle.cli.compose.building import whole
    from coracle.cli.compose.watching import Watching, rules

    project = whole(chosen.project(services), services)
    found = rules(project, services)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not no_up:
            _up(chosen, project, services, quiet=quiet)
        Watching(chosen, project, found, quiet=quiet, prune=prune).run()
    except KeyboardInterrupt:
        fail("canceled", _INTERRUPTED)


def _up(chosen: Chosen, project: Project, services: Sequence[str], *, quiet: bool) -> None:
    """As `up --detach`, with the images of watched services built anew."""
    from coracle.cli.compose.builds import build_images
    from coracle.cli.compose.declaring import declaration, settled
    from coracle.cli.compose.making import Making

    named = services or list(project.services)
    built = [name for name in named if project.services[name].get("build") and project.services[name].get("develop")]
    build_images(chosen, chosen.docker(), project, built, quiet=quiet)
    making = Making()
    making.prepare(chosen, project, services)
    settled(chosen, project.name, declaration("up", project, services, **making.words(chosen)))
