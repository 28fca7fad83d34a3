"""`coracle compose logs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command

if TYPE_CHECKING:
    from coracle.cli.compose.containers import Summary
    from coracle.cli.compose.printing import Printer
    from coracle.cli.docker.client import Docker, Query


@click.command("logs", cls=Command, short_help="Show what the containers have written.")
@click.argument("services", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("--index", type=int, default=0, help="The replica with this number.")
@click.option("--no-color", is_flag=True, help="Without colours.")
@click.option("--no-log-prefix", is_flag=True, help="Without the container's name before each line.")
@click.option(
    "--since", default="", metavar="TIME", help="From this moment (2013-01-02T13:23:37Z), or so long ago (42m)."
)
@click.option("--until", default="", metavar="TIME", help="Until this moment, or so long ago.")
@click.option("-n", "--tail", default="all", metavar="LINES", help="Lines from the end of each log.  [default: all]")
@click.option("-t", "--timestamps", is_flag=True, help="With the moment of each line.")
@click.pass_obj
def logs(
    chosen: Chosen,
    *,
    services: Sequence[str],
    follow: bool,
    index: int,
    no_color: bool,
    no_log_prefix: bool,
    since: str,
    until: str,
    tail: str,
    timestamps: bool,
) -> None:
    """Show what the containers have written, merged."""
    from coracle.cli.compose import containers
    from coracle.cli.compose.expecting import more_to_come
    from coracle.cli.compose.following import Following
    from coracle.cli.compose.printing import Printer, in_colour

    if index and len(services) != 1:
        fail("--index requires one service to be selected", 1)
    project, _ = chosen.named(services)
    docker = chosen.docker()
    query = {"tail": tail, "since": moment("since", since), "until": moment("until", until)}
    printer = Printer(colour=in_colour(chosen) and not no_color, prefix=not no_log_prefix)
    present = containers.listed(docker, project, services, index=index)
    if index and not present:
        fail(f'service "{services[0]}" is not running container #{index}', 1)
    if follow:
        following = Following(docker, project, printer, services, index=index, timestamps=timestamps)
        following.query = lambda _container: query
        following.expects_more = lambda: more_to_come(docker, project, services)
        following.run()
        return
    for container in present:
        printer.register(containers.short_name(container))
    for container in present:
        _print(docker, printer, container, {**query, "timestamps": timestamps})


def _print(docker: Docker, printer: Printer, container: Summary, query: Query) -> None:
    from coracle.cli.compose.containers import short_name
    from coracle.cli.docker.frames import is_multiplexed, lines, outputs, pieces_of

    asked = {**query, "stdout": True, "stderr": True}
    with docker.read("GET", f"/containers/{container['Id']}/logs", asked) as answer:
        multiplexed = is_multiplexed(answer.headers.get("Content-Type"))
        for _stream, line in lines(outputs(pieces_of(answer), multiplexed=multiplexed)):
            printer.line(short_name(container), line)


def moment(option: str, text: str) -> str | None:
    """A moment as Docker's API takes it: seconds since 1970.  Ends the program for what is none."""
    from coracle.core.clock import SystemClock
    from coracle.core.errors import Malformed
    from coracle.docker.agos import parse_ago

    if not text:
        return None
    try:
        return f"{parse_ago(text, SystemClock().now_s()):.6f}"
    except Malformed:
        fail(f'invalid value for "{option}": failed to parse value as time or duration: "{text}"', 1)
