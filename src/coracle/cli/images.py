"""`coracle images`: what there is to run, and how more gets there."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import quote

import click

from coracle.cli.client import Client
from coracle.cli.cloud import cloud_options, known
from coracle.cli.output import human_bytes, output_option, print_json, render_table
from coracle.node.config import Settings


@click.group(invoke_without_command=True)
@click.pass_context
def images(context: click.Context) -> None:
    """The images of the cloud: list, build, pull, remove."""
    if context.invoked_subcommand is None:
        context.invoke(images_list)


@images.command("list")
@cloud_options
@output_option
def images_list(cloud: Settings | None, output: str) -> None:
    """What is in the local store, and what the catalogue can build."""
    found = Client(known(cloud)).call("GET", "/images")
    if output == "json":
        print_json(found)
        return
    rows = [_row(image) for image in found]
    click.echo(render_table(("IMAGE", "ID", "SIZE", "SOURCE"), rows))


@images.command("build")
@cloud_options
@click.argument("image", metavar="NAME")
@click.option("--from-packages", "packages", required=True, metavar="A,B,C", help="Debian packages to put in.")
def images_build(cloud: Settings | None, image: str, packages: str) -> None:
    """Make an image NAME from Debian packages."""
    _follow(cloud, "/images/build", {"name": image, "packages": packages.split(",")})


@images.command("pull")
@cloud_options
@click.argument("reference")
def images_pull(cloud: Settings | None, reference: str) -> None:
    """Get an image: from a configured registry, or built from the catalogue."""
    _follow(cloud, "/images/pull", {"reference": reference})


@images.command("remove")
@cloud_options
@click.argument("reference")
def images_remove(cloud: Settings | None, reference: str) -> None:
    """Remove an image that no container uses."""
    Client(known(cloud)).call("DELETE", f"/images?reference={quote(reference, safe='')}")
    click.echo(f"removed {reference}", err=True)


def _follow(cloud: Settings | None, path: str, body: dict[str, Any]) -> None:
    last = ""
    for said in Client(known(cloud)).stream("POST", path, body):
        if "image" in said:
            click.echo(said["image"])
        elif said["step"] != last or sys.stderr.isatty():
            last = said["step"]
            click.echo(f"  {last}", err=True)


def _row(image: dict[str, Any]) -> tuple[str, str, str, str]:
    if not image["id"]:
        return image["reference"], "-", "-", image["source"]
    return image["reference"], image["id"][7:19], human_bytes(image["size_bytes"]), image["source"]
