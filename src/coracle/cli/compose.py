"""`coracle compose`: Compose files without Docker's tools.  Options, messages and exit codes are those of Compose v2.

1 no such service    14 a file is not there    15 something in the files is wrong    16 usage
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from coracle.compose.loader import Request
    from coracle.compose.project import Project


T = TypeVar("T")


class _Group(click.Group):
    """A group whose usage errors have Compose's exit code."""

    def invoke(self, ctx: click.Context) -> object:
        return _as_compose(lambda: super(_Group, self).invoke(ctx))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return _as_compose(lambda: super(_Group, self).parse_args(ctx, args))


def _as_compose(step: Callable[[], T]) -> T:
    try:
        return step()
    except click.UsageError as error:
        error.exit_code = 16  # type: ignore[misc]  # click reads it from the instance too
        raise


@click.group(cls=_Group)
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="A Compose file; several are merged.")
@click.option("-p", "--project-name", default="", metavar="NAME", help="The project's name.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="A profile to enable; `*` is all.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Variables, instead of `.env`.")
@click.option("--project-directory", default="", metavar="DIR", help="Where relative paths start.")
@click.pass_context
def compose(
    context: click.Context,
    *,
    files: tuple[str, ...],
    project_name: str,
    profiles: tuple[str, ...],
    env_files: tuple[str, ...],
    project_directory: str,
) -> None:
    """A whole application from one Compose file."""
    from coracle.compose.loader import Request

    here = os.getcwd()
    context.obj = Request(
        environment=dict(os.environ),
        working_directory=here,
        files=files,
        project_directory=os.path.join(here, project_directory) if project_directory else "",
        project_name=project_name,
        profiles=profiles,
        env_files=[os.path.join(here, name) for name in env_files],
    )


def loaded(request: Request) -> Project:
    """The project, its warnings said; ends the program where there is none."""
    from coracle.compose.loader import load
    from coracle.core.errors import CloudError, NotFound

    try:
        project = load(request)
    except CloudError as error:
        _fail(error.message, 15 if not isinstance(error, NotFound) else 1 if error.kind == "service" else 14)
    for warning in project.warnings:
        click.echo(f"WARN {warning}", err=True)
    return project


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


@compose.command("config", short_help="Check the files and print the whole project.")
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
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@click.pass_obj
def config(
    request: Request,
    *,
    services: tuple[str, ...],
    form: str,
    show: str | None,
    hashed: str,
    quiet: bool,
    no_interpolate: bool,
    output: Path | None,
) -> None:
    """Check the files and print the whole project in one form: merged, with variables put in, short forms made long."""
    from dataclasses import replace

    from coracle.compose import render

    project = loaded(replace(request, services=services, interpolate=not no_interpolate))
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
            _fail(f"no such service: {name}", 1)
    return "".join(f"{name} {service_hash(project.services[name])}\n" for name in names)
