"""`coracle compose`: Compose files without Docker's tools.  Options, messages and exit codes are those of Compose v2.

1 failed, no such service    14 a file is not there    15 something in the files is wrong    16 usage    130 interrupted
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn, TypeVar

import click

from coracle.cli.compose.chosen import PROGRESS, Chosen, fail, one_of, variables_of
from coracle.cli.compose.goflags import ignored, plain
from coracle.cli.failure import Failure

T = TypeVar("T")

# a module and its commands; it is loaded with the first of them that is used
COMMANDS = {
    "building": ("build", "pull", "push"),
    "busy": ("events", "stats", "top"),
    "config": ("config",),
    "convert": ("convert",),
    "copying": ("cp",),
    "lifecycle": ("create", "down", "restart", "rm", "scale", "start", "stop"),
    "logs": ("logs",),
    "run": ("run",),
    "showing": ("images", "ls", "port", "ps", "version"),
    "signalling": ("kill", "pause", "unpause", "wait"),
    "streams": ("attach", "exec"),
    "up": ("up",),
    "watch": ("watch",),
}
_NAMES = {"exec": "execute"}  # those that Python does not want
AT_ONCE = ("kill", "pause", "unpause", "wait", "exec", "run", "attach", "cp", "watch")  # done, not declared
USAGE, INTERRUPTED = 16, 130


class _Group(click.Group):
    """A group whose failures have Compose's exit codes, and its form where progress is told as JSON."""

    def invoke(self, ctx: click.Context) -> object:
        former = signal.signal(signal.SIGTERM, _interrupt)
        try:
            return _as_compose(lambda: super(_Group, self).invoke(ctx))
        except KeyboardInterrupt:
            fail("canceled", INTERRUPTED)
        except Failure as error:
            if isinstance(ctx.obj, Chosen) and ctx.obj.progress == "json" and error.message:
                click.echo(json.dumps({"error": True, "message": error.message}, separators=(",", ":")), err=True)
                sys.exit(error.exit_code)
            raise
        finally:
            signal.signal(signal.SIGTERM, former)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for names in COMMANDS.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = next((module for module, names in COMMANDS.items() if cmd_name in names), None)
        if module is None:
            return None
        loaded = importlib.import_module(f"coracle.cli.compose.{module}")
        command: click.Command = getattr(loaded, _NAMES.get(cmd_name, cmd_name))
        if cmd_name not in AT_ONCE and not any(option.name == "dry_run" for option in command.params):
            command.params.append(_dry_run())
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = plain(self.params, args, anywhere=False)
        return _as_compose(lambda: super(_Group, self).parse_args(ctx, words))


def _dry_run() -> click.Option:
    """The option `--dry-run` behind a command's name, where Compose has it too."""

    def rehearse(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            context.obj = replace(context.obj, dry_run=True)

    said = "Say what would be done, and do nothing."
    return click.Option(["--dry-run"], is_flag=True, expose_value=False, callback=rehearse, help=said)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _as_compose(step: Callable[[], T]) -> T:
    try:
        return step()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.UsageError as error:
        error.exit_code = USAGE  # type: ignore[misc]  # click reads it from the instance too
        raise


def _version(context: click.Context, _: click.Parameter, given: bool) -> None:
    if given:
        from coracle.cli.compose.showing import version

        context.invoke(version, form="pretty", short=False)
        context.exit()


@click.group(cls=_Group)
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="A Compose file; several are merged.")
@click.option("-p", "--project-name", default="", metavar="NAME", help="The project's name.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="A profile to enable; `*` is all.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Variables, instead of `.env`.")
@click.option("--project-directory", "--workdir", default="", metavar="DIR", help="Where relative paths start.")
@click.option("--no-ansi", "ansi", flag_value="never", hidden=True)
@ignored("--verbose")
@click.option("-v", "--version", is_flag=True, hidden=True, expose_value=False, is_eager=True, callback=_version)
@click.option("--all-resources", is_flag=True, help="Also the networks and volumes that no service uses.")
@click.option("--ansi", metavar="WHEN", help="Colours and redrawing: never, always or auto.")
@click.option("--progress", metavar="TYPE", help="Of what is being done: auto, tty, plain, json or quiet.")
@click.option("--parallel", type=int, metavar="N", help="Pull or push at most N images at a time; -1 is all.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--compatibility", is_flag=True, hidden=True)
@click.pass_context
def compose(
    context: click.Context,
    *,
    files: tuple[str, ...],
    project_name: str,
    profiles: tuple[str, ...],
    env_files: tuple[str, ...],
    project_directory: str,
    all_resources: bool,
    ansi: str | None,
    progress: str | None,
    parallel: int | None,
    dry_run: bool,
    compatibility: bool,
) -> None:
    """A whole application from one Compose file."""
    from coracle.compose.loader import Request

    here = os.getcwd()
    outside = dict(os.environ)
    if not env_files and outside.get("COMPOSE_ENV_FILES"):
        env_files = tuple(outside["COMPOSE_ENV_FILES"].split(","))
    request = Request(
        environment=outside,
        working_directory=here,
        files=files,
        project_directory=os.path.join(here, project_directory) if project_directory else "",
        project_name=project_name,
        profiles=profiles,
        env_files=[os.path.join(here, name) for name in env_files],
        all_resources=all_resources,
    )
    known = variables_of(request)
    context.obj = Chosen(
        request,
        ansi=one_of("ansi", ansi or known.get("COMPOSE_ANSI") or "auto", ("never", "always", "auto")),
        progress=one_of("progress", progress or known.get("COMPOSE_PROGRESS") or "auto", PROGRESS),
        parallel=parallel if parallel is not None else _number(known.get("COMPOSE_PARALLEL_LIMIT")),
        dry_run=dry_run,
    )
    _check(context.obj, compatibility=compatibility)
    if dry_run and context.invoked_subcommand in AT_ONCE:
        fail(f"--dry-run is not supported by {context.invoked_subcommand}")


def _number(text: str | None) -> int:
    try:
        return int(text or -1)
    except ValueError:
        fail(f'COMPOSE_PARALLEL_LIMIT must be an integer (found: "{text}")')


def _check(chosen: Chosen, *, compatibility: bool) -> None:
    """End the program where options contradict each other, or ask for what there is not."""
    if chosen.progress == "tty" and chosen.ansi == "never":
        fail("can't use --progress tty while ANSI support is disabled")
    if chosen.progress == "plain" and chosen.ansi == "always":
        fail("can't use --progress plain while ANSI support is forced")
    if compatibility or chosen.says("COMPOSE_COMPATIBILITY"):
        fail("--compatibility is not supported: names are joined by hyphens (demo-web-1), as Compose v2 does")
