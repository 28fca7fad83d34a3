"""Doing what `develop.watch` says about files that change: `coracle compose watch`, and `up --watch`.

What goes wrong with one burst of changes is said, and the next is waited for.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click

from coracle.cli.compose import containers
from coracle.cli.compose.builds import build_images
from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.declaring import declaration, settled
from coracle.cli.docker.client import Docker, Refused
from coracle.cli.docker.frames import outputs
from coracle.cli.failure import Failure
from coracle.compose.project import Project
from coracle.compose.watching import archive
from coracle.compose.watching.bursts import Burst
from coracle.compose.watching.decisions import Work, decide, first
from coracle.compose.watching.rules import Rule, rules_of
from coracle.compose.watching.tree import Tree
from coracle.core.clock import SystemClock
from coracle.core.errors import Malformed

_PIECE_BYTES = 65536
_AT_ONCE = 200
"""How many paths one command line gets."""


def rules(project: Project, services: Sequence[str]) -> list[Rule]:
    """The rules of `services`, warnings said; ends the program where there is nothing to watch."""
    for name in services:
        if name not in project.services:
            fail(f"no such service: {name}", 1)
    try:
        found = rules_of(project, services)
    except Malformed as error:
        fail(error.message, 1)
    for warning in found.warnings:
        click.echo(f"WARN {warning}", err=True)
    return found.rules


@dataclass
class Watching:
    """`say` prints a line about the watching itself; `quiet`: nothing of builds; `prune`: builds' former images go."""

    chosen: Chosen
    project: Project
    rules: Sequence[Rule]
    say: Callable[[str], None] = click.echo
    quiet: bool = False
    prune: bool = False

    def __post_init__(self) -> None:
        self._docker: Docker = self.chosen.docker()

    def run(self) -> None:
        """For ever.  Ends the program where files cannot be watched."""
        try:
            tree = Tree([rule.path for rule in self.rules], self._passes_over)
        except OSError as error:
            fail(f"cannot watch: {error.strerror}", 1)
        clock, burst = SystemClock(), Burst()
        try:
            self._try(first(self.rules, tree.present() if any(rule.at_first for rule in self.rules) else ()))
            self.say("Watch enabled")
            while True:
                changed, _, _ = select.select([tree], [], [], burst.wait_s(clock.monotonic_s()))
                if changed:
                    burst.add(tree.changed(), clock.monotonic_s())
                if burst.wait_s(clock.monotonic_s()) == 0:
                    self._try(decide(self.rules, burst.take()))
        finally:
            tree.close()

    def _passes_over(self, directory: str) -> bool:
        return all(rule.passes_over(directory) for rule in self.rules)

    def _try(self, work: Work) -> None:
        try:
            self._do(work)
        except (Failure, OSError) as error:
            said = error.message if isinstance(error, Failure) else str(error)
            click.echo(f"WARN Error handling changed files: {said}", err=True)

    def _do(self, work: Work) -> None:
        for service in work.rebuild:
            self._rebuild(service)
        for service, files in work.sync.items():
            self.say(f'Syncing service "{service}" after {len(files)} changes were detected')
            self._sync(service, files)
        if work.restart:
            settled(self.chosen, self.project.name, declaration("restart", self.project, work.restart), "Restarting")
        for service, hook in work.hooks:
            self._exec(service, hook)

    def _rebuild(self, service: str) -> None:
        self.say(f'Rebuilding service "{service}" after changes were detected...')
        before = self._image_id(service)
        build_images(self.chosen, self._docker, self.project, [service], quiet=self.quiet)
        self.say(f'service "{service}" successfully built')
        settled(self.chosen, self.project.name, declaration("up", self.project, [service]))
        if self.prune and before not in ("", self._image_id(service)):
            with suppress(Refused):  # it has another name, or another container uses it
                self._docker.call("DELETE", f"/images/{before}")

    def _image_id(self, service: str) -> str:
        try:
            return str(self._docker.call("GET", f"/images/{self.project.image_of(service)}/json")["Id"])
        except Refused as error:
            if error.status == 404:
                return ""
            raise

    def _sync(self, service: str, files: Mapping[str, Sequence[str]]) -> None:
        here, gone = archive.split(files)
        for container in containers.listed(self._docker, self.project.name, [service]):
            if here:
                place = f"/containers/{container['Id']}/archive"
                self._docker.send("PUT", place, {"path": "/"}, archive.pieces(here)).close()
            if gone and container["State"] == "running":
                self._remove(container, gone)

    def _remove(self, container: containers.Summary, places: Sequence[str]) -> None:
        """Remove by the container's own rm, as Compose does: Docker has no other way."""
        for at in range(0, len(places), _AT_ONCE):
            self._remove_some(container, places[at : at + _AT_ONCE])

    def _remove_some(self, container: containers.Summary, places: Sequence[str]) -> None:
        code, said = _executed(self._docker, container["Id"], {"Cmd": ["rm", "-rf", "--", *places], "User": "0"})
        if code:
            name = containers.short_name(container)
            click.echo(
                f"WARN {name}: cannot remove {', '.join(places)}: {said.decode(errors='replace').strip()}", err=True
            )

    def _exec(self, service: str, hook: Mapping[str, Any]) -> None:
        given, words = hook.get("environment") or {}, list(hook["command"])
        body = {
            "Cmd": words,
            "User": hook.get("user") or "",
            "WorkingDir": hook.get("working_dir") or "",
            "Privileged": bool(hook.get("privileged")),
            "Env": [name if value is None else f"{name}={value}" for name, value in given.items()],
        }
        for container in containers.listed(self._docker, self.project.name, [service], stopped=False):
            code, said = _executed(self._docker, container["Id"], body)
            click.echo(said, nl=False)
            if code:
                name = containers.short_name(container)
                click.echo(f"WARN {name}: {' '.join(words)} exited with code {code}", err=True)


def _executed(docker: Docker, container_id: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
    """Run a command in a container to its end: its exit code, and what it wrote.  Raises Refused."""
    asked = {**body, "AttachStdout": True, "AttachStderr": True}
    id = docker.call("POST", f"/containers/{container_id}/exec", None, asked)["Id"]
    with docker.hijack(f"/exec/{id}/start", None, {"Detach": False, "Tty": False}) as connection:
        pieces = iter(lambda: connection.socket.recv(_PIECE_BYTES), b"")
        said = b"".join(data for _, data in outputs(pieces, multiplexed=connection.multiplexed))
    code = docker.call("GET", f"/exec/{id}/json")["ExitCode"]
    if code is None:
        raise Refused(f"exec {id} did not end", 500)
    return int(code), said
