"""`coracle compose config`: the files checked, and printed in one form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coracle.cli.compose.chosen import Chosen, fail, loaded
from coracle.cli.compose.goflags import Command

if TYPE_CHECKING:
    from coracle.compose.project import Project


@click.command("config", cls=Command, short_help="Check the files and print the whole project.")
@click.argument("services", nargs=-1)
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", help="[default: yaml]")
@click.option("--services", "show", flag_value="services", help="Print the services' names.")
@click.option("--volumes", "show", flag_value="volumes", help="Print the volumes' names.")
@click.option("--images", "show", flag_value="images", help="Print the images.")
@click.option("--profiles", "show", flag_value="profiles", help="Print the profiles' names.")
@click.option("--environment", "show", flag_value="environment", help="Print the variables.")
@click.option("--hash", "hashed", metavar="SERVICES", default="", help="Print the services' hashes; `*` is all.")
@click.option("-q", "--quiet", is_flag=True, help="Only check.")
@click.option("--no-interpolate", is_flag=True, help="Leave variables as they are.")
@click.option("--no-consistency", is_flag=True, help="Do not check that everything fits together.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@click.pass_obj
def config(
    chosen: Chosen,
    *,
    services: tuple[str, ...],
    form: str,
    show: str | None,
    hashed: str,
    quiet: bool,
    no_interpolate: bool,
    no_consistency: bool,
    output: Path | None,
) -> None:
    """Check the files and print the whole project in one form: merged, with variables put in, short forms made long."""
    from coracle.compose import render

    asked = replace(chosen.request, services=services, interpolate=not no_interpolate, consistent=not no_consistency)
    project = loaded(asked)
    if quiet:
        return
    if hashed:
        said = _hashes(project, hashed)
    elif show:
        said = "".join(f"{line}\n" for line in _lines(project, show))
    else:
        model = project.model if no_interpolate else render.escaped(project.model)
        said = render.as_json(model) if form == "json" else render.as_yaml(model)
    if output:
        output.write_text(said)
    else:
        click.echo(said, nl=False)


def _lines(project: Project, what: str) -> list[str]:
    match what:
        case "services":
            return list(project.services)
        case "volumes":
            return list(project.model.get("volumes") or ())
        case "images":
            return [project.image_of(name) for name in project.services]
        case "profiles":
            return list(project.profiles)
    return [f"{name}={value}" for name, value in sorted(project.environment.items())]


def _hashes(project: Project, wanted: str) -> str:
    from coracle.compose.project import service_hash

    names = list(project.services) if wanted == "*" else wanted.split(",")
    for name in names:
        if name not in project.services:
            fail(f"no such service: {name}", 1)
    return "".join(f"{name} {service_hash(project.services[name])}\n" for name in names)
