"""What the options before the command's own name choose: files, project, cloud, and how progress is shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import click

from coracle.cli.cloud import known
from coracle.cli.failure import Failure
from coracle.core.errors import CloudError, NotFound
from coracle.node.config import Settings, settings_of

if TYPE_CHECKING:
    from coracle.compose.loader import Request
    from coracle.compose.project import Project


@dataclass(frozen=True)
class Chosen:
    """The object of click's context (`@click.pass_obj`) in every command of `coracle compose`."""

    request: Request
    root: str | None = None
    name: str | None = None
    ansi: str = "auto"
    """never, always or auto: where there is a terminal."""
    progress: str = "auto"
    """auto, tty, plain, json or quiet."""
    parallel: int = -1
    dry_run: bool = False

    @property
    def cloud(self) -> Settings:
        """Raises Failure where there is no such cloud."""
        try:
            return known(settings_of(self.root, self.name))
        except CloudError as error:
            raise Failure(str(error)) from error

    def loaded(self, services: Sequence[str] = ()) -> Project:
        """The project with `services` and what they depend on, or all of it."""
        return loaded(replace(self.request, services=tuple(services)))


def loaded(request: Request) -> Project:
    """The project, its warnings said; ends the program where there is none."""
    from coracle.compose.loader import load

    try:
        project = load(request)
    except CloudError as error:
        fail(error.message, 15 if not isinstance(error, NotFound) else 1 if error.kind == "service" else 14)
    for warning in project.warnings:
        click.echo(f"WARN {warning}", err=True)
    return project


def fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
