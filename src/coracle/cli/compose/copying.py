"""`coracle compose cp`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command, ignored

if TYPE_CHECKING:
    from coracle.cli.compose.containers import Summary
    from coracle.cli.docker.client import Docker


@click.command("cp", cls=Command, short_help="Copy files into containers, or out of one.")
@click.argument("source")
@click.argument("target")
@click.option("-a", "--archive", "keep_owner", is_flag=True, help="Keep users and groups.")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="Copy what a link leads to.")
@ignored("--all")
@click.option("--index", type=int, default=0, help="The replica with this number.")
@click.pass_obj
def cp(chosen: Chosen, /, *, source: str, target: str, keep_owner: bool, follow: bool, index: int) -> None:
    """Copy SERVICE:PATH to a path here, or a path here to SERVICE:PATH in all containers of the service.

    `-` is a tar on standard input or output.
    """
    from coracle.cli.compose.containers import name_of
    from coracle.cli.compose.progress import Event
    from coracle.cli.docker.files import copy_in, copy_out

    (service, inside), (other, outside) = _split(source), _split(target)
    if service and other:
        fail("copying between services is not supported")
    if not service and not other:
        fail("unknown copy direction")
    name, _ = chosen.named()
    docker = chosen.docker()
    targets = _containers(docker, name, service or other, index)
    progress = chosen.shown("Copying")
    try:
        for one in targets[:1] if service else targets:
            called = name_of(one)
            said = f"{called}:{inside} to {target}" if service else f"{source} to {called}:{outside}"
            progress.say(Event(called, "Copying", text=f"copy {said}"))
            if service:
                copy_out(docker, one["Id"], inside, target, follow=follow)
            else:
                copy_in(docker, one["Id"], source, outside, follow=follow, keep_owner=keep_owner)
            progress.say(Event(called, "Copied", "done", f"copy {said}"))
    finally:
        progress.close()


def _split(text: str) -> tuple[str, str]:
    """(service, path in it), or ("", text) for a path here."""
    service, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        return "", text
    return service, path


def _containers(docker: Docker, project: str, service: str, index: int) -> Sequence[Summary]:
    from coracle.cli.compose import containers

    found = containers.listed(docker, project, [service], index=index)
    if not found and index:
        fail(f'service "{service}" is not running container #{index}')
    if not found:
        fail(f'no container found for service "{service}"')
    return found
