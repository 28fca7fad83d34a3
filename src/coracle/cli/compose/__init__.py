"""`coracle compose`: Compose files without Docker's tools.  Options, messages and exit codes are those of Compose v2.

1 no such service    14 a file is not there    15 something in the files is wrong    16 usage
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import click

from coracle.cli.compose.chosen import Chosen
from coracle.cli.compose.config import config

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

    here, outer = os.getcwd(), context.find_root().params
    request = Request(
        environment=dict(os.environ),
        working_directory=here,
        files=files,
        project_directory=os.path.join(here, project_directory) if project_directory else "",
        project_name=project_name,
        profiles=profiles,
        env_files=[os.path.join(here, name) for name in env_files],
    )
    context.obj = Chosen(request, outer.get("root"), outer.get("name"))


for command in (config,):
    compose.add_command(command)
