"""`coracle compose exec` and `attach`: a running container's input and output joined to ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command

if TYPE_CHECKING:
    from coracle.cli.docker.client import Docker

WORDS = {"allow_interspersed_args": False}
"""Of commands whose arguments are another program's words: our options end where those begin."""


@click.command("exec", cls=Command, short_help="Run a command in a running container.", context_settings=WORDS)
@click.argument("service")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-d", "--detach", is_flag=True, help="Do not wait for it.")
@click.option("-e", "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("--index", type=int, default=0, help="In the replica with this number.")
@click.option("-T", "--no-TTY", "no_tty", is_flag=True, help="Without a terminal.  [default: with, where we have one]")
@click.option("-i", "--interactive", is_flag=True, default=True, hidden=True)
@click.option("-t", "--tty", is_flag=True, hidden=True)
@click.option("--privileged", is_flag=True, help="With all privileges.")
@click.option("-u", "--user", default="", metavar="USER", help="As this user.")
@click.option("-w", "--workdir", default="", metavar="DIR", help="In this directory.")
@click.pass_obj
def execute(
    chosen: Chosen,
    *,
    service: str,
    command: Sequence[str],
    detach: bool,
    variables: Sequence[str],
    index: int,
    no_tty: bool,
    interactive: bool,
    tty: bool,
    privileged: bool,
    user: str,
    workdir: str,
) -> None:
    """Run a command in a service's running container; its exit code is ours."""
    from coracle.cli.compose import containers
    from coracle.cli.docker import terminal

    project, _ = chosen.named()
    docker = chosen.docker()
    container = containers.one(docker, project, service, index, one_offs="with")
    own = not no_tty and not detach and terminal.is_terminal(0, 1)
    body = {
        "Cmd": list(command),
        "Env": given_variables(variables, chosen.variables),
        "User": user,
        "WorkingDir": workdir,
        "Privileged": privileged,
        "Tty": own,
        "AttachStdin": interactive and not detach,
        "AttachStdout": not detach,
        "AttachStderr": not detach,
    }
    id = docker.call("POST", f"/containers/{container['Id']}/exec", None, body)["Id"]
    if detach:
        docker.call("POST", f"/exec/{id}/start", None, {"Detach": True, "Tty": own})
        return
    _converse_with_exec(docker, id, own=own)
    sys.exit(docker.call("GET", f"/exec/{id}/json")["ExitCode"] or 0)


def _converse_with_exec(docker: Docker, id: str, *, own: bool) -> None:
    from coracle.cli.docker import terminal

    body: dict[str, Any] = {"Detach": False, "Tty": own}
    if own:
        body["ConsoleSize"] = list(terminal.size())
    with docker.hijack(f"/exec/{id}/start", None, body) as connection:
        on_signal: terminal.Signals = {terminal.WINDOW: partial(resize, docker, f"/exec/{id}")} if own else {}
        terminal.converse(connection, stdin=True, raw=own, on_signal=on_signal)


@click.command("attach", cls=Command, short_help="Join the input and output of a service's container.")
@click.argument("service")
@click.option("--detach-keys", default="", metavar="KEYS", help="What to type to leave it.  [default: ctrl-p,ctrl-q]")
@click.option("--index", type=int, default=0, help="The replica with this number.")
@click.option("--no-stdin", is_flag=True, help="Only listen.")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals on to the program.")
@click.pass_obj
def attach(chosen: Chosen, *, service: str, detach_keys: str, index: int, no_stdin: bool, sig_proxy: bool) -> None:
    """Join our input and output to those of a service's running container; its exit code is ours."""
    from coracle.cli.compose import containers

    project, _ = chosen.named()
    docker = chosen.docker()
    container = containers.one(docker, project, service, index, one_offs="with")
    found = docker.call("GET", f"/containers/{container['Id']}/json")
    if found["State"]["Paused"]:
        fail("You cannot attach to a paused container, unpause it first")
    stdin = not no_stdin and found["Config"]["OpenStdin"]
    joining = Joining(docker, container["Id"], tty=found["Config"]["Tty"], stdin=stdin, detach_keys=detach_keys)
    sys.exit(joining.run(proxy=sig_proxy))


class Joining:
    """A container whose main program's input and output are joined to ours."""

    def __init__(self, docker: Docker, id: str, *, tty: bool, stdin: bool, detach_keys: str = "") -> None:
        """Ends the program where `detach_keys` are none."""
        self._docker, self._id, self._tty, self._stdin = docker, id, tty, stdin
        self._keys = _keys(detach_keys)

    def run(self, *, start: Callable[[], None] | None = None, removed: bool = False, proxy: bool = True) -> int:
        """Attach, `start` it if need be, pass everything on until its end.  Its exit code; 0 when it was left.

        `removed`: it is removed at its end, and that is waited for.
        """
        from coracle.cli.docker import terminal

        query = {"stream": True, "stdin": self._stdin, "stdout": True, "stderr": True}
        path = f"/containers/{self._id}"
        own = self._tty and self._stdin and terminal.is_terminal(0)
        condition = "removed" if removed else "next-exit" if start else "not-running"
        with (
            self._docker.hijack(f"{path}/attach", query) as connection,
            self._docker.read("POST", f"{path}/wait", {"condition": condition}) as end,
        ):
            if start:
                start()
            if self._tty:
                resize(self._docker, path)
            on_signal = self._proxied(proxy=proxy and not own)
            if terminal.converse(connection, stdin=self._stdin, raw=own, on_signal=on_signal, keys=self._keys):
                click.echo("read escape sequence", err=True)
                return 0
            return int(json.loads(end.read())["StatusCode"])

    def _proxied(self, *, proxy: bool) -> dict[int, Callable[[], None]]:
        from coracle.cli.docker import terminal

        passed: dict[int, Callable[[], None]] = {}
        if proxy:
            passed = {number: partial(self._signal, number) for number in terminal.FORWARDED}
        if self._tty:
            passed[terminal.WINDOW] = partial(resize, self._docker, f"/containers/{self._id}")
        return passed

    def _signal(self, number: int) -> None:
        from coracle.cli.docker.client import Refused

        try:
            self._docker.call("POST", f"/containers/{self._id}/kill", {"signal": number})
        except Refused as error:
            if error.status not in (404, 409):  # it is not there, or not running, any more
                raise


def _keys(text: str) -> bytes:
    from coracle.core.errors import Malformed
    from coracle.docker.streams.detachkeys import parse_keys

    try:
        return parse_keys(text)
    except Malformed as error:
        fail(error.message)


def resize(docker: Docker, path: str) -> None:
    """Tell the terminal at `path` (a container's or an exec's) the size of ours."""
    from coracle.cli.docker import terminal
    from coracle.cli.docker.client import Refused

    rows, columns = terminal.size()
    if not rows:
        return
    try:
        docker.call("POST", f"{path}/resize", {"h": rows, "w": columns})
    except Refused as error:
        if error.status not in (404, 409, 500):  # it has ended
            raise


def given_variables(words: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """`NAME=VALUE` as it stands, `NAME` with the value it has here; one that has none here is left out."""
    pairs = [(name, equals, value) for name, equals, value in (word.partition("=") for word in words)]
    return [f"{name}={value if equals else known[name]}" for name, equals, value in pairs if equals or name in known]
