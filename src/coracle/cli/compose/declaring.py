"""Telling the daemon what is wanted of a project, and saying what it does until that is so.

The declaration stays: whoever goes away while it is being made true stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.progress import Event

if TYPE_CHECKING:
    from coracle.cli.docker.client import Docker
    from coracle.compose.project import Project


@dataclass(frozen=True)
class Outcome:
    """How it ended: as Compose's exit code, and what is said to it where that is not 0."""

    exit_code: int = 0
    error: str = ""

    def tell(self) -> None:
        """Ends the program where it failed."""
        if self.exit_code:
            fail(self.error, self.exit_code)


def described(project: Project) -> dict[str, Any]:
    """A project as the daemon is told of it."""
    return {
        "directory": project.directory,
        "files": list(project.files),
        "model": project.model,
        "left_out": list(project.left_out),
    }


def declaration(action: str, project: Project | None, services: Sequence[str] = (), **given: Any) -> dict[str, Any]:
    """The body of a declaration.  Without a project it is about what was declared before, or is there."""
    about = described(project) if project else None
    return {"action": action, "project": about, "services": list(services), **given}


def declare(
    docker: Docker, name: str, body: Mapping[str, Any], say: Callable[[Event], None], project: Project | None = None
) -> Outcome:
    """Declare, and say all that happens until it is so, or cannot be.  Ends the program where it is refused.

    With a `project` a refusal leads to the place in its files that it is about.
    """
    from http.client import HTTPException

    from coracle.cli.compose.locating import located
    from coracle.cli.docker.client import Refused

    try:
        for line in _lines(docker, name, body):
            if "end" in line:
                return Outcome(int(line["end"]["exit_code"]), located(str(line["end"].get("error") or ""), project))
            say(event(line))
    except Refused as error:
        fail(located(error.message, project))
    except (OSError, ValueError, HTTPException):
        pass
    return Outcome(1, "the daemon went away; what was declared is made true when it is back: sudo coracle up")


def _lines(docker: Docker, name: str, body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return docker.stream_json("POST", f"/compose/projects/{name}", body=dict(body))


def event(line: Mapping[str, Any]) -> Event:
    """A line of the daemon's.  A warning is about nothing (`id` is empty), and its words are in `text`."""
    if not line["id"]:
        return Event("", "Warning", line["state"], line["detail"] or line["text"])
    return Event(line["id"], f"{line['text']} {line['detail']}".strip(), line["state"])


def settled(
    chosen: Chosen, name: str, body: Mapping[str, Any], title: str = "Running", project: Project | None = None
) -> None:
    """Declare, and show what happens.  Ends the program where it fails, as `declare` does where it is refused."""
    showing = Showing(chosen, title)
    asked = {**body, "dry_run": True} if chosen.dry_run else body
    try:
        outcome = declare(chosen.docker(), name, asked, showing.say, project)
    finally:
        showing.close()
    outcome.tell()


class Showing:
    """Progress; warnings, which are about no one thing, come before it or when it is closed."""

    def __init__(self, chosen: Chosen, title: str) -> None:
        self._progress, self._quiet = chosen.shown(title), chosen.says("COMPOSE_IGNORE_ORPHANS")
        self._warnings: list[str] = []
        self._begun = self.closed = False

    def say(self, event: Event) -> None:
        if event.id:
            self._begun = True
            self._progress.say(event)
        elif not (self._quiet and event.text.startswith("Found orphan containers")):
            self._warnings.append(event.text)
            if not self._begun:
                self._warn()

    def _warn(self) -> None:
        for warning in self._warnings:
            click.echo(f"WARN {warning}", err=True)
        self._warnings.clear()

    def close(self) -> None:
        """Once or more often."""
        if not self.closed:
            self.closed = True
            self._progress.close()
            self._warn()
