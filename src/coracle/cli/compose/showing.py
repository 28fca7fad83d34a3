"""`coracle compose ps`, `ls`, `images`, `port` and `version`: what there is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command

if TYPE_CHECKING:
    from coracle.cli.docker.client import Docker

STATES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")


@click.command("ps", cls=Command, short_help="List containers.")
@click.argument("services", nargs=-1)
@click.option("-a", "--all", "everything", is_flag=True, help="Also stopped ones and those of `run`.")
@click.option("--filter", "filter_", default="", metavar="status=STATE", help="Only containers in this state.")
@click.option("--format", "form", default="", metavar="FORM", help="table, json, `table TEMPLATE` or TEMPLATE.")
@click.option("--no-trunc", is_flag=True, help="Cut nothing short.")
@click.option("--orphans/--no-orphans", default=True, help="Also of services that the files do not have.")
@click.option("-q", "--quiet", is_flag=True, help="Only the ids.")
@click.option("--services", "names_only", is_flag=True, help="Only the services' names.")
@click.option("--status", "statuses", multiple=True, metavar="STATE", help=f"Only in this state: {', '.join(STATES)}.")
@click.pass_obj
def ps(
    chosen: Chosen,
    /,
    *,
    services: Sequence[str],
    everything: bool,
    filter_: str,
    form: str,
    no_trunc: bool,
    orphans: bool,
    quiet: bool,
    names_only: bool,
    statuses: Sequence[str],
) -> None:
    """List the containers of the project."""
    from coracle.cli.compose import containers
    from coracle.cli.compose.formats import formatted
    from coracle.cli.compose.rows import PS_HEADS, PS_RAW, PS_TABLE, row
    from coracle.core.clock import SystemClock

    states = [*statuses, *_filtered(filter_)]
    name, project = chosen.named(services)
    wanted = services or (tuple(project.services) if project and not orphans else ())
    docker, everything = chosen.docker(), everything or bool(states)
    found = containers.listed(docker, name, wanted, stopped=everything, one_offs="with" if everything else "without")
    found = sorted((one for one in found if not states or one["State"] in states), key=containers.name_of)
    if quiet:
        said = "".join(f"{one['Id']}\n" for one in found)
    elif names_only:
        said = "\n".join(dict.fromkeys(map(containers.service_of, found))) + "\n"
    else:
        now_s = SystemClock().now_s()
        rows = [row(one, _state(docker, one["Id"]), now_s, whole=no_trunc) for one in found]
        said = formatted(rows, PS_RAW if form == "raw" else form, table=PS_TABLE, heads=PS_HEADS)
    click.echo(said, nl=False)


def _filtered(text: str) -> list[str]:
    if not text:
        return []
    name, equals, value = text.partition("=")
    if not equals:
        fail("arguments to --filter should be in form KEY=VAL")
    if name != "status":
        fail(f"unknown filter {name}")
    return [value]


def _state(docker: Docker, id: str) -> Mapping[str, Any]:
    from coracle.cli.docker.client import Refused

    try:
        state: Mapping[str, Any] = docker.call("GET", f"/containers/{id}/json")["State"]
    except Refused as error:
        if error.status == 404:
            return {}
        raise
    return state


@click.command("ls", cls=Command, short_help="List projects.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also projects of which nothing runs.")
@click.option("--filter", "filters", multiple=True, metavar="name=NAME", help="Only projects of this name.")
@click.option("--format", "form", default="table", metavar="FORM", help="table or json.")
@click.option("-q", "--quiet", is_flag=True, help="Only the names.")
@click.pass_obj
def ls(chosen: Chosen, /, *, everything: bool, filters: Sequence[str], form: str, quiet: bool) -> None:
    """List the projects that have containers."""
    from coracle.cli.compose.containers import LABEL
    from coracle.cli.compose.formats import print_form
    from coracle.cli.compose.rows import combined

    patterns = [_name_pattern(text) for text in filters]
    query = {"all": everything, "filters": {"label": [f"{LABEL}project", f"{LABEL}config-hash"]}}
    projects: dict[str, list[Mapping[str, Any]]] = {}
    for one in chosen.docker().call("GET", "/containers/json", query):
        projects.setdefault(one["Labels"][f"{LABEL}project"], []).append(one)
    rows = [
        {"Name": name, "Status": combined(one["State"] for one in found), "ConfigFiles": _files(found)}
        for name, found in sorted(projects.items())
        if not patterns or any(re.search(pattern, name) for pattern in patterns)
    ]
    if quiet:
        click.echo("".join(f"{one['Name']}\n" for one in rows), nl=False)
        return
    cells = [list(one.values()) for one in rows]
    click.echo(print_form(form, rows, ("NAME", "STATUS", "CONFIG FILES"), cells), nl=False)


def _name_pattern(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f'invalid argument "{text}" for "--filter" flag: bad format of filter (expected name=value)', 16)
    if name.strip().lower() != "name":
        fail(f"invalid filter '{name}'")
    try:
        re.compile(value)
    except re.error:
        return re.escape(value)
    return value


def _files(found: Sequence[Mapping[str, Any]]) -> str:
    from coracle.cli.compose.containers import LABEL

    named = dict.fromkeys(one["Labels"].get(f"{LABEL}project.config_files", "") for one in found)
    return ",".join(filter(None, named)) or "N/A"


@click.command("images", cls=Command, short_help="List the images of the containers.")
@click.argument("services", nargs=-1)
@click.option("--format", "form", default="table", metavar="FORM", help="table or json.")
@click.option("-q", "--quiet", is_flag=True, help="Only the ids.")
@click.pass_obj
def images(chosen: Chosen, /, *, services: Sequence[str], form: str, quiet: bool) -> None:
    """List the images that the project's containers were made of."""
    from coracle.cli.compose import containers
    from coracle.cli.compose.formats import print_form
    from coracle.cli.output import human_bytes

    name, _ = chosen.named()
    docker = chosen.docker()
    found = sorted(containers.listed(docker, name, services, one_offs="with"), key=containers.name_of)
    rows = [_image(docker, one) for one in found]
    if quiet:
        ids = dict.fromkeys(row["ID"].removeprefix("sha256:") for row in rows)
        click.echo("".join(f"{id}\n" for id in ids), nl=False)
        return
    cells = [
        (
            row["ContainerName"],
            row["Repository"] or "<none>",
            row["Tag"] or "<none>",
            row["ID"].removeprefix("sha256:")[:12],
            human_bytes(row["Size"]),
        )
        for row in rows
    ]
    click.echo(print_form(form, rows, ("CONTAINER", "REPOSITORY", "TAG", "IMAGE ID", "SIZE"), cells), nl=False)


def _image(docker: Docker, container: Mapping[str, Any]) -> dict[str, Any]:
    from coracle.cli.compose.containers import name_of

    image = docker.call("GET", f"/images/{container['ImageID']}/json")
    repository, _, tag = next(iter(image["RepoTags"] or ()), "").rpartition(":")
    return {
        "ID": image["Id"],
        "ContainerName": name_of(container),
        "Repository": repository,
        "Tag": tag,
        "Size": image["Size"],
    }


@click.command("port", cls=Command, short_help="Show where a port is published.")
@click.argument("service")
@click.argument("private_port")
@click.option("--index", type=int, default=0, help="Of the replica with this number.")
@click.option("--protocol", default="tcp", help="tcp or udp.  [default: tcp]")
@click.pass_obj
def port(chosen: Chosen, /, *, service: str, private_port: str, index: int, protocol: str) -> None:
    """Show the address and port at which a container's port is published."""
    from coracle.cli.compose import containers

    if not re.fullmatch(r"[0-9]+", private_port):
        fail(f'strconv.ParseUint: parsing "{private_port}": invalid syntax')
    if int(private_port) > 65535:
        fail(f'strconv.ParseUint: parsing "{private_port}": value out of range')
    name, _ = chosen.named()
    container = containers.one(chosen.docker(), name, service, index)
    wanted, found = (int(private_port), protocol.lower()), container.get("Ports") or ()
    for one in found:
        if (one["PrivatePort"], one["Type"]) == wanted:
            click.echo(f"{one.get('IP') or ''}:{one.get('PublicPort') or 0}")
            return
    known = ", ".join(f"{one.get('PublicPort') or 0}/{one['Type']}" for one in found)
    fail(f"no port {wanted[0]}/{wanted[1]} for container {containers.name_of(container)}: {known}")


@click.command("version", cls=Command, short_help="Show the version.")
@click.option("-f", "--format", "form", default="pretty", metavar="FORM", help="pretty or json.")
@click.option("--short", is_flag=True, help="Only the number.")
def version(form: str, short: bool) -> None:
    """Show our version, and that of Docker Compose which we are like."""
    from importlib import metadata

    from coracle.compose.create.labels import COMPOSE

    ours = metadata.version("coracle")
    if short:
        click.echo(ours)
    elif form == "json":
        click.echo(f'{{"version":"v{ours}"}}')
    else:
        click.echo(f"Coracle Compose version v{ours} (commands and files of Docker Compose v{COMPOSE})")
