"""`coracle compose convert`: the project as Kubernetes manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command
from coracle.core.errors import CloudError, NotFound

if TYPE_CHECKING:
    from coracle.compose.kubernetes.setting import Options
    from coracle.compose.project import Project

_CONTROLLERS = {
    "deployment": "deployment",
    "deploy": "deployment",
    "replicationcontroller": "replicationcontroller",
    "rc": "replicationcontroller",
    "daemonset": "daemonset",
    "ds": "daemonset",
}


def _controller(_context: click.Context, _option: click.Parameter, given: str) -> str:
    return _CONTROLLERS[given]


@click.command("convert", cls=Command, short_help="Print the project as Kubernetes manifests.")
@click.argument("services", nargs=-1)
@click.option("-o", "--output", metavar="FILE|DIR", help="Write to a file, or a file for each object to a directory.")
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", help="[default: yaml]")
@click.option("-n", "--namespace", default="", metavar="NAME", help="Make a namespace, and everything in it.")
@click.option(
    "--controller",
    type=click.Choice(list(_CONTROLLERS)),
    callback=_controller,
    default="deployment",
    help="What keeps the pods of services that run on.  [default: deployment]",
)
@click.option(
    "--publish",
    type=click.Choice(["host", "node", "balancer", "none"]),
    default="host",
    help="Where published ports are: on the pod's machine, on every node, at a load balancer.  [default: host]",
)
@click.option("--volume-size", default="1Gi", metavar="SIZE", help="What named volumes ask for.  [default: 1Gi]")
@click.option("--fill-volumes", is_flag=True, help="Let new volumes begin with what the image has, by its own shell.")
@click.pass_obj
def convert(chosen: Chosen, /, *, services: tuple[str, ...], output: str | None, form: str, **options: Any) -> None:
    """Print the project as Kubernetes manifests, for `kubectl apply -f -`.

    What Kubernetes cannot say is warned of, field by field.  In Docker's client `convert` is an old name of `config`;
    here it is what its name says.
    """
    from coracle.compose.kubernetes import text
    from coracle.compose.kubernetes.setting import Options

    manifests = _converted(chosen.loaded(services), Options(**options))
    render = text.as_json if form == "json" else text.as_yaml
    if output is None or output == "-":
        click.echo(render(manifests), nl=False)
        return
    try:
        if Path(output).is_dir() or output.endswith("/"):
            _write_each(manifests, Path(output), form)
        else:
            Path(output).write_text(render(manifests))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", 1)


def _converted(project: Project, options: Options) -> list[dict[str, Any]]:
    from coracle.compose.kubernetes.conversion import convert
    from coracle.core.names import name_faults
    from coracle.core.quantity import parse

    if options.namespace and (wrong := name_faults("label", options.namespace)):
        fail(f'invalid namespace "{options.namespace}": {wrong[0]}', 16)
    try:
        parse(options.volume_size)
    except ValueError:
        fail(f'invalid --volume-size "{options.volume_size}": it is an amount such as 500Mi or 10Gi', 16)
    try:
        found = convert(project, options)
    except CloudError as error:
        fail(error.message, 14 if isinstance(error, NotFound) else 15)
    for warning in found.warnings:
        click.echo(f"WARN {warning}", err=True)
    return found.manifests


def _write_each(manifests: list[dict[str, Any]], directory: Path, form: str) -> None:
    from coracle.compose.kubernetes import text

    directory.mkdir(parents=True, exist_ok=True)
    for manifest in manifests:
        path = directory / f"{manifest['metadata']['name']}-{manifest['kind'].lower()}.{form}"
        path.write_text(text.one_json(manifest) if form == "json" else text.as_yaml([manifest]))
        click.echo(str(path), err=True)
