"""What the options before the command's own name choose: files, project, cloud, and how progress is shown."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import click

from coracle.cli import cloud
from coracle.cli.failure import Failure
from coracle.core.errors import CloudError, NotFound
from coracle.node.config import Settings

if TYPE_CHECKING:
    from coracle.cli.compose.progress import Progress
    from coracle.cli.docker.client import Docker
    from coracle.compose.loader import Request
    from coracle.compose.project import Project


PROGRESS = ("auto", "tty", "plain", "json", "quiet")


class Said(Failure):
    """A failure in Compose's words: nothing stands before them."""

    def show(self, file: object = None) -> None:
        if self.message:
            click.echo(self.message, err=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the program.  Without a `message` it was said before."""
    raise Said(message, code)


def one_of(option: str, value: str, known: Sequence[str]) -> str:
    """`value`; ends the program where it is not `known`."""
    if value not in known:
        fail(f'unsupported --{option} value "{value}"')
    return value


@dataclass(frozen=True)
class Chosen:
    """The object of click's context (`@click.pass_obj`) in every command of `coracle compose`."""

    request: Request
    ansi: str = "auto"
    """never, always or auto: where there is a terminal."""
    progress: str = "auto"
    """auto, tty, plain, json or quiet."""
    parallel: int = -1
    """How many images are pulled, pushed or built at a time; less than 1: all."""
    dry_run: bool = False

    @property
    def cloud(self) -> Settings:
        """Raises Failure where there is no such cloud."""
        return cloud.chosen()

    def docker(self) -> Docker:
        """Docker's door of the cloud.  Raises Failure where there is no such cloud."""
        from coracle.cli.docker.client import Docker

        return Docker.of(self.cloud)

    def project(self, services: Sequence[str] = ()) -> Project:
        """The whole project; `services` are enabled, whatever their profiles.  Ends the program where there is none."""
        return loaded(replace(self.request, services=tuple(services), whole=True))

    def loaded(self, services: Sequence[str] = ()) -> Project:
        """The project with `services` and what they depend on only, or all of it."""
        return loaded(replace(self.request, services=tuple(services)))

    def named(self, services: Sequence[str] = ()) -> tuple[str, Project | None]:
        """The project's name, and the project where there are files: for commands that need none.

        As in Compose v2: `-p` alone reads no file; COMPOSE_PROJECT_NAME stands in for files that cannot be read.
        """
        from coracle.compose.loader import load

        if self.request.project_name and not self.request.files:
            return self.request.project_name, None
        request = replace(self.request, services=tuple(services), whole=True)
        try:
            project = load(request)
        except CloudError as error:
            name = self.request.environment.get("COMPOSE_PROJECT_NAME")
            if name:
                return name, None
            _refuse(error)
        return project.name, project

    @functools.cached_property
    def variables(self) -> Mapping[str, str]:
        """The environment, and `.env`'s variables that it has not."""
        return variables_of(self.request)

    def says(self, name: str) -> bool:
        """Whether a variable such as COMPOSE_REMOVE_ORPHANS is set to something true."""
        return self.variables.get(name, "").lower() in ("1", "t", "true", "y", "yes", "on")

    @property
    def colours(self) -> bool:
        """Whether progress is coloured."""
        return not self.variables.get("NO_COLOR") and self.ansi != "never"

    def shown(self, title: str = "Running") -> Progress:
        """Where to say what is being done; the caller closes it."""
        from coracle.cli.compose.progress import Rehearsed, progress_in

        out = sys.stdout if self.says("COMPOSE_STATUS_STDOUT") else sys.stderr
        mode = self.progress
        if mode == "auto":
            mode = "tty" if out.isatty() and self.ansi != "never" else "plain"
        shown = progress_in(mode, out, title, colours=self.colours)
        return Rehearsed(shown) if self.dry_run and mode in ("plain", "tty") else shown


def variables_of(request: Request) -> Mapping[str, str]:
    """As `Chosen.variables`; a `.env` that cannot be read has none, and is complained of when the project is loaded."""
    from coracle.compose import environment, files
    from coracle.compose.loader import beginning

    found: dict[str, str] = {}
    for path in request.env_files or [os.path.join(beginning(request), ".env")]:
        try:
            found |= environment.parse(files.read(path), path, {**found, **request.environment})
        except CloudError:
            continue
    return {**found, **request.environment}


def loaded(request: Request) -> Project:
    """The project, its warnings said; ends the program where there is none."""
    from coracle.compose.loader import load

    try:
        project = load(request)
    except CloudError as error:
        _refuse(error)
    for warning in project.warnings:
        click.echo(f"WARN {warning}", err=True)
    return project


def _refuse(error: CloudError) -> NoReturn:
    fail(error.message, 15 if not isinstance(error, NotFound) else 1 if error.kind == "service" else 14)
