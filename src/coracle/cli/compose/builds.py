"""Images of services, built one after the other: the context sent, the builder's words shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.locating import placed
from coracle.cli.docker.client import Docker, Refused, json_lines
from coracle.cli.docker.logins import logins_header
from coracle.cli.output import human_bytes
from coracle.compose.building import NO_OPTIONS, BuildOptions, build_query
from coracle.compose.context import Context, context_of
from coracle.compose.create.support import check_build
from coracle.compose.project import Project
from coracle.core.errors import CloudError, Malformed

BUILD_FAILED, WRONG_FILE = 17, 15
_STEP = re.compile(r"Step (\d+/\d+) : (.*)")


def build_images(
    chosen: Chosen,
    docker: Docker,
    project: Project,
    services: Sequence[str],
    options: BuildOptions = NO_OPTIONS,
    *,
    quiet: bool = False,
) -> None:
    """Build what each of `services` says.  Ends the program with 17 at the first that does not work.

    What none of them can be built for is said before the first is begun.
    """
    contexts = {name: _context(project, name) for name in services}
    for name, context in contexts.items():
        if chosen.dry_run:
            click.echo(f"would build {project.image_of(name)} for {name}")
            continue
        _Build(docker, project, name, quiet).run(context, options, logins_header(chosen.variables))


def _context(project: Project, name: str) -> Context:
    try:
        for warning in check_build(project, name):
            click.echo(f"WARN {warning}", err=True)
    except Malformed as error:
        fail(error.message, WRONG_FILE)
    try:
        return context_of(project.services[name]["build"])
    except CloudError as error:
        _fail_to_build(project, name, "", error.message)


class _Build:
    """One build: counts what it sends, and knows at which step it is."""

    def __init__(self, docker: Docker, project: Project, name: str, quiet: bool) -> None:
        self._docker, self._project, self._name, self._quiet = docker, project, name, quiet
        self._step = ""

    def run(self, context: Context, options: BuildOptions, logins: Mapping[str, str]) -> None:
        query = build_query(self._project, self._name, context.dockerfile, options)
        try:
            with self._docker.send("POST", "/build", query, self._counted(context.pieces()), logins) as answer:
                for line in json_lines(answer):
                    self._say(line.get("stream") or _status(line))
        except Refused as error:
            self._fail(error.message)
        except (CloudError, OSError) as error:
            self._fail(str(error))

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        sent = 0
        for piece in pieces:
            sent += len(piece)
            yield piece
        self._say(f"Sending build context to Docker daemon  {human_bytes(sent)}\n")

    def _say(self, text: str) -> None:
        if step := _STEP.match(text):
            self._step = f"step {step[1]}: {step[2].strip()}"
        if text and not self._quiet:
            click.echo(text, nl=False)

    def _fail(self, message: str) -> None:
        """The service, its Dockerfile and the step at which it was, and what went wrong."""
        build = self._project.services[self._name]["build"]
        dockerfile = "dockerfile_inline" if build.get("dockerfile_inline") else build.get("dockerfile") or "Dockerfile"
        at = ", ".join(filter(None, (dockerfile, self._step)))
        _fail_to_build(self._project, self._name, f" ({at})", message)


def _fail_to_build(project: Project, name: str, at: str, message: str) -> NoReturn:
    said = f"failed to build service {name}{at}: {message}"
    fail(placed(said, project, ("services", name, "build")), BUILD_FAILED)


def _status(line: dict[str, object]) -> str:
    """What is said of an image that is brought in: only its ends, no bars."""
    status = line.get("status")
    return f"{status}\n" if status and not line.get("id") else ""
