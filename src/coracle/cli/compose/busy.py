"""`coracle compose top`, `events` and `stats`: what is going on."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command

if TYPE_CHECKING:
    from coracle.cli.docker.client import Docker

_HOME, _CLEAR, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"


@click.command("top", cls=Command, short_help="Show the processes.")
@click.argument("services", nargs=-1)
@click.pass_obj
def top(chosen: Chosen, /, *, services: Sequence[str]) -> None:
    """Show the processes of the running containers."""
    from coracle.cli.compose import containers
    from coracle.cli.tabular import tabulated

    name, _ = chosen.named()
    docker = chosen.docker()
    found = containers.listed(docker, name, services, stopped=False, one_offs="with")
    for one in sorted(found, key=containers.name_of):
        processes = docker.call("GET", f"/containers/{one['Id']}/top")
        rows = [processes["Titles"], *([*row, ""] for row in processes["Processes"])]
        click.echo(f"{containers.name_of(one)}\n{tabulated(rows, least=5)}")


@click.command("events", cls=Command, short_help="Show what happens to the containers.")
@click.argument("services", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="As JSON objects, one in a line.")
@click.option("--since", default="", metavar="TIME", help="From this moment, or so long ago.")
@click.option("--until", default="", metavar="TIME", help="Until this moment.")
@click.pass_obj
def events(chosen: Chosen, /, *, services: Sequence[str], as_json: bool, since: str, until: str) -> None:
    """Show what happens to the project's containers, as it happens."""
    from coracle.cli.compose.containers import LABEL
    from coracle.cli.compose.logs import moment

    name, _ = chosen.named(services)
    filters = {"type": ["container"], "label": [f"{LABEL}project={name}"]}
    query = {"filters": filters, "since": moment("since", since), "until": moment("until", until)}
    for event in chosen.docker().stream_json("GET", "/events", query):
        labels = event["Actor"]["Attributes"]
        if labels.get(f"{LABEL}oneoff") == "True" or (services and labels.get(f"{LABEL}service") not in services):
            continue
        click.echo(_event_as_json(event) if as_json else _event_as_text(event))


def _attributes(event: Mapping[str, Any]) -> dict[str, str]:
    from coracle.cli.compose.containers import LABEL

    given = event["Actor"]["Attributes"]
    return {name: given[name] for name in sorted(given) if not name.startswith((LABEL, "io.coracle."))}


def _event_as_json(event: Mapping[str, Any]) -> str:
    from coracle.cli.compose.containers import LABEL
    from coracle.cli.compose.rows import event_moment
    from coracle.cli.gotemplate import as_json

    nanoseconds = int(event["timeNano"])
    fraction = f"{nanoseconds % 10**9:09d}".rstrip("0")
    return as_json(
        {
            "action": event["Action"],
            "attributes": _attributes(event),
            "id": event["Actor"]["ID"],
            "service": event["Actor"]["Attributes"].get(f"{LABEL}service", ""),
            "time": f"{event_moment(nanoseconds):%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}Z",
            "type": "container",
        }
    )


def _event_as_text(event: Mapping[str, Any]) -> str:
    from coracle.cli.compose.rows import event_moment

    when = event_moment(int(event["timeNano"])).astimezone()
    told = ", ".join(f"{name}={value}" for name, value in _attributes(event).items())
    return f"{when:%Y-%m-%d %H:%M:%S.%f} container {event['Action']} {event['Actor']['ID']} ({told})\n"


@click.command("stats", cls=Command, short_help="Show what the containers use.")
@click.argument("service", nargs=-1)
@click.option("-a", "--all", "everything", is_flag=True, help="Also stopped containers.")
@click.option("--format", "form", default="", metavar="FORM", help="table, json, `table TEMPLATE` or TEMPLATE.")
@click.option("--no-stream", is_flag=True, help="Once.")
@click.option("--no-trunc", is_flag=True, help="Cut nothing short.")
@click.pass_obj
def stats(
    chosen: Chosen, /, *, service: Sequence[str], everything: bool, form: str, no_stream: bool, no_trunc: bool
) -> None:
    """Show what the containers use of the machine, every second."""
    from coracle.cli.compose import containers

    if len(service) > 1:
        fail(f"accepts at most 1 arg(s), received {len(service)}")
    name, _ = chosen.named()
    docker = chosen.docker()
    found = containers.listed(docker, name, service, stopped=everything, one_offs="with")
    found = sorted(found, key=containers.name_of)
    rows: dict[str, dict[str, Any]] = {}
    samples = _samples(docker, [one["Id"] for one in found], stream=not no_stream)
    for id, sample in samples:
        rows[id] = _usage(sample, whole=no_trunc)
        shown = [rows[one["Id"]] for one in found if one["Id"] in rows]
        if not no_stream and len(shown) == len(found):
            _redraw(_as_asked(shown, form))
    if no_stream or not found:
        click.echo(_as_asked([rows[one["Id"]] for one in found if one["Id"] in rows], form), nl=False)


def _as_asked(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    from coracle.cli.compose.formats import formatted
    from coracle.cli.compose.usage import HEADS, TABLE

    return formatted(rows, form, table=TABLE, heads=HEADS)


def _usage(sample: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    from coracle.cli.compose.usage import usage

    return usage(sample, whole=whole)


def _samples(docker: Docker, ids: Sequence[str], *, stream: bool) -> Any:
    """(id, sample) as they come, of all containers; ends when all have ended."""
    found: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()

    def read(id: str) -> None:
        from coracle.cli.failure import Failure

        try:
            for sample in docker.stream_json("GET", f"/containers/{id}/stats", {"stream": stream}):
                found.put((id, sample))
        except (Failure, OSError, ValueError):
            pass  # removed meanwhile, or the cloud goes away
        found.put(None)

    for id in ids:
        threading.Thread(target=read, args=(id,), daemon=True).start()
    reading = len(ids)
    while reading:
        one = found.get()
        if one is None:
            reading -= 1
        else:
            yield one


def _redraw(text: str) -> None:
    """In place on a terminal, one after the other elsewhere."""
    if sys.stdout.isatty():
        text = _HOME + text.replace("\n", f"{_CLEAR_LINE}\n") + _CLEAR_BELOW
    click.echo(text, nl=False)
