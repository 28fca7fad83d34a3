"""`coracle compose kill`, `pause`, `unpause` and `wait`: what is done to containers as they are, nothing declared."""

from __future__ import annotations

import http.client
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command
from coracle.cli.failure import Failure

if TYPE_CHECKING:
    from coracle.cli.compose.containers import Summary
    from coracle.cli.compose.progress import Progress
    from coracle.cli.docker.client import Docker, Refused

AT_ONCE = 16


@click.command("kill", cls=Command, short_help="Send a signal to the containers.")
@click.argument("services", nargs=-1)
@click.option("-s", "--signal", default="SIGKILL", metavar="SIGNAL", help="Which one.  [default: SIGKILL]")
@click.option("--remove-orphans", is_flag=True, help="Also to containers of services that the files do not have.")
@click.pass_obj
def kill(chosen: Chosen, *, services: Sequence[str], signal: str, remove_orphans: bool) -> None:
    """Send a signal to the containers that run; SIGKILL ends them at once."""
    present = _present(chosen, services, orphans=remove_orphans)
    if not present:
        click.echo("no container to kill", err=True)
        return
    _to_each(chosen, "Killing", present, _Deed("kill", "Killed", "Killing", {"signal": signal}))


@click.command("pause", cls=Command, short_help="Hold the containers still.")
@click.argument("services", nargs=-1)
@click.pass_obj
def pause(chosen: Chosen, *, services: Sequence[str]) -> None:
    """Hold the containers still until `unpause`."""
    _to_each(chosen, "Pausing", _present(chosen, services), _Deed("pause", "Paused"))


@click.command("unpause", cls=Command, short_help="Let held containers go on.")
@click.argument("services", nargs=-1)
@click.pass_obj
def unpause(chosen: Chosen, *, services: Sequence[str]) -> None:
    """Let containers that are held by `pause` go on."""
    _to_each(chosen, "Unpausing", _present(chosen, services), _Deed("unpause", "Unpaused"))


@click.command("wait", cls=Command, short_help="Wait until containers have stopped.")
@click.argument("services", nargs=-1)
@click.option("--down-project", is_flag=True, help="Take the project down when the first of them has stopped.")
@click.pass_context
def wait(context: click.Context, *, services: Sequence[str], down_project: bool) -> None:
    """Wait until the containers of the services have stopped.  The exit code is that of the last one."""
    chosen: Chosen = context.obj
    if not services:
        fail('"coracle compose wait" requires at least 1 argument')
    name, _ = chosen.named()
    present = _present(chosen, services)
    if not present:
        fail(f'no containers for project "{name}"')
    code = _waited(chosen.docker(), present, first=down_project)
    if down_project:
        from coracle.cli.compose.lifecycle import down

        context.invoke(down)
    if code:
        fail("", code)


def _waited(docker: Docker, present: Sequence[Summary], *, first: bool) -> int:
    """The exit code of the container that stopped last, or `first`.  Raises Failure (one is not there any more)."""
    ended: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def until_ended(id: str) -> None:
        said = Failure("the cloud went away")
        try:
            said = docker.call("POST", f"/containers/{id}/wait") or said
        except Failure as failure:
            said = failure
        except (OSError, http.client.HTTPException, ValueError):
            pass  # in the middle of the answer
        ended.put((id, said))

    for container in present:
        threading.Thread(target=until_ended, args=(container["Id"],), daemon=True).start()
    code = 0
    for _ in present:
        id, said = ended.get()
        if isinstance(said, Failure):
            raise said
        code = int(said["StatusCode"])
        click.echo(f'container "{id}" exited with status code {code}')
        if first:
            break
    return code


def _present(chosen: Chosen, services: Sequence[str], *, orphans: bool = False) -> list[Summary]:
    """The containers that run, of the project's services or `orphans` too.  Ends the program for an unknown service."""
    from coracle.cli.compose import containers

    name, project = chosen.named(services)
    wanted = services or (project.services if project and not orphans else ())
    return containers.listed(chosen.docker(), name, wanted, stopped=False)


@dataclass(frozen=True)
class _Deed:
    """One call about a container, and its words: `doing` while it goes on (nothing where it is quick) and `done`."""

    verb: str
    done: str
    doing: str = ""
    query: Mapping[str, Any] | None = None


def _to_each(chosen: Chosen, title: str, present: Sequence[Summary], deed: _Deed) -> None:
    """Do it to each container, all at once; ends the program where one is refused, when all were asked."""
    from concurrent.futures import ThreadPoolExecutor

    docker, progress = chosen.docker(), chosen.shown(title)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            refusals = list(pool.map(lambda one: _do(docker, progress, one, deed), present))
    finally:
        progress.close()
    for refusal in refusals:
        if refusal:
            raise refusal


def _do(docker: Docker, progress: Progress, container: Summary, deed: _Deed) -> Refused | None:
    from coracle.cli.compose.containers import name_of
    from coracle.cli.compose.progress import Event
    from coracle.cli.docker.client import Refused

    title = f"Container {name_of(container)}"
    if deed.doing:
        progress.say(Event(title, deed.doing))
    try:
        docker.call("POST", f"/containers/{container['Id']}/{deed.verb}", deed.query)
    except Refused as error:
        progress.say(Event(title, f"Error while {deed.doing}" if deed.doing else "Error", "error"))
        return error
    progress.say(Event(title, deed.done, "done"))
    return None
