"""`coracle compose build`, `pull`, `push`; and what `up`, `create` and `run` do about images first.

15 the file asks for what there is not    17 a build failed    18 an image could not be brought in    1 anything else
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import click

from coracle.cli.compose.chosen import PROGRESS, Chosen, fail, one_of
from coracle.cli.compose.goflags import Command, ignored

if TYPE_CHECKING:
    from coracle.cli.docker.client import Docker
    from coracle.compose.project import Project

MISSING_FILE, WRONG_FILE, PULL_FAILED = 14, 15, 18
DAEMON = "Error response from daemon: "


def whole(project: Project, services: Sequence[str] = (), *, no_deps: bool = False) -> Project:
    """The project as it is declared: its model says all by itself, as far as `services` (none: all) need it.

    Says what has no effect; ends the program where something cannot be had (14: a file that is not there).
    """
    from coracle.compose import order
    from coracle.compose.create.preparing import prepared
    from coracle.core.errors import CloudError, NotFound

    try:
        needed = order.closure(services, {} if no_deps else order.dependencies(project.services)) if services else None
        found = prepared(project, only=needed)
    except CloudError as error:
        fail(error.message, MISSING_FILE if isinstance(error, NotFound) else WRONG_FILE)
    for warning in found.warnings:
        click.echo(f"WARN {warning}", err=True)
    return found


def ensure_images(
    chosen: Chosen,
    docker: Docker,
    project: Project,
    services: Sequence[str] = (),
    *,
    build: bool | None = None,
    pull: str = "",
    quiet: bool = False,
) -> None:
    """Bring in and build what `services` (none: all) need.  Ends the program where that does not work.

    build    True: all that can be built (`--build`); False: nothing; None: what is missing
    pull     the policy that comes before the services' own (`--pull`)
    quiet    layers are not shown
    """
    from coracle.cli.compose.builds import build_images
    from coracle.cli.compose.pulling import inspected, pull_images
    from coracle.compose.building import buildable, to_build, to_pull
    from coracle.core.clock import SystemClock
    from coracle.core.errors import Malformed

    names = list(services or project.services)
    present = inspected(docker, project, names)
    asked_for = [name for name in names if not (build and project.services[name].get("build"))]
    try:
        wanted = to_pull(project, asked_for, present, SystemClock().now_s(), pull)
    except Malformed as error:
        fail(error.message, WRONG_FILE)
    if wanted:
        progress = chosen.shown("Pulling")
        failures = pull_images(chosen, docker, project, wanted, progress, layers=not quiet)
        progress.close()
        helpless = [name for name in failures if build is False or not buildable(project, project.image_of(name))]
        if helpless:
            _fail_for_image(project, helpless[0], failures[helpless[0]], PULL_FAILED)
        present = inspected(docker, project, names)
    if to_be_built := to_build(project, names, present, build, pull):
        build_images(chosen, docker, project, to_be_built)
        present = inspected(docker, project, names)
    for name in names:
        if project.image_of(name) not in present and not chosen.dry_run:
            _fail_for_image(project, name, f"No such image: {project.image_of(name)}")


def _fail_for_image(project: Project, name: str, message: str, exit_code: int = 1) -> NoReturn:
    from coracle.cli.compose.locating import placed

    fail(placed(f'service "{name}": {message}', project, ("services", name, "image")), exit_code)


def _progress(context: click.Context, _: click.Parameter, given: str | None) -> None:
    """`build --progress plain`, which Compose v2 still takes for `--progress plain build`."""
    if given:
        context.obj = replace(context.obj, progress=one_of("progress", given, PROGRESS))


@click.command("build", cls=Command, short_help="Build images.")
@click.argument("services", nargs=-1)
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Set a variable of the build.")
@click.option("-m", "--memory", default="", metavar="BYTES", help="Limit the memory of the build's containers.")
@click.option("--no-cache", is_flag=True, help="Use no steps of earlier builds.")
@click.option("--pull", is_flag=True, help="Bring in newer versions of the images that it begins with.")
@click.option("--push", is_flag=True, help="Push what was built.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing of the build.")
@click.option("--with-dependencies", is_flag=True, help="Also build what the services depend on.")
@ignored("--compress")
@ignored("--force-rm")
@ignored("--no-rm")
@ignored("--parallel")
@click.option("--progress", hidden=True, expose_value=False, callback=_progress, help="As before the command.")
@click.option("--ssh", default="", hidden=True)
@click.option("--builder", default="", hidden=True)
@click.pass_obj
def build(
    chosen: Chosen,
    *,
    services: tuple[str, ...],
    arguments: tuple[str, ...],
    memory: str,
    no_cache: bool,
    pull: bool,
    push: bool,
    quiet: bool,
    with_dependencies: bool,
    ssh: str,
    builder: str,
) -> None:
    """Build the images of SERVICES, or all that have `build`; those that others depend on come first."""
    from coracle.cli.compose.builds import build_images
    from coracle.compose.building import BuildOptions, in_order, to_build

    for option, given in (("--ssh", ssh), ("--builder", builder)):
        if given:
            fail(f"{option} is not supported: images are built by the classic builder, not by BuildKit")
    project = _project(chosen, services, with_dependencies=with_dependencies)
    options = BuildOptions(_arguments(arguments, chosen), pull, no_cache, _bytes(memory))
    names = in_order(project, services if services and not with_dependencies else project.services)
    docker = chosen.docker()
    build_images(chosen, docker, project, to_build(project, names, {}, build=True), options, quiet=quiet)
    if push:
        _push(chosen, docker, project, names, quiet=quiet, ignore_failures=False)


@click.command("pull", cls=Command, short_help="Bring in images.")
@click.argument("services", nargs=-1)
@click.option("--ignore-buildable", is_flag=True, help="Leave out what can be built.")
@click.option("--ignore-pull-failures", is_flag=True, help="Bring in what can be, and say nothing of the rest.")
@ignored("--parallel")
@ignored("--no-parallel")
@click.option("--include-deps", is_flag=True, help="Also for what the services depend on.")
@click.option("--policy", type=click.Choice(["missing", "always"]), help="Before the services' own policies.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@click.pass_obj
def pull(
    chosen: Chosen,
    *,
    services: tuple[str, ...],
    ignore_buildable: bool,
    ignore_pull_failures: bool,
    include_deps: bool,
    policy: str | None,
    quiet: bool,
) -> None:
    """Bring in the images of SERVICES, or all of them."""
    from coracle.cli.compose.pulling import inspected, pull_images, pullable, quietly

    project = _project(chosen, services, with_dependencies=include_deps)
    names = sorted(services if services and not include_deps else project.services)
    docker, progress = chosen.docker(), quietly(chosen, "Pulling", quiet)
    present = inspected(docker, project, names)
    wanted = pullable(project, names, present, progress, policy=policy or "", ignore_buildable=ignore_buildable)
    failures = pull_images(chosen, docker, project, wanted, progress, layers=True)
    progress.close()
    if unbuilt := [name for name in failures if project.services[name].get("build")]:
        said = "WARNING: Some service image(s) must be built from source by running:\n    coracle compose build "
        click.echo(said + " ".join(unbuilt), err=True)
    if failures and not ignore_pull_failures:
        first = min(failures, key=lambda name: name in unbuilt)
        fail(f"{DAEMON}{failures[first]}", PULL_FAILED)


@click.command("push", cls=Command, short_help="Push images that were built.")
@click.argument("services", nargs=-1)
@click.option("--ignore-push-failures", is_flag=True, help="Push what can be, and say nothing of the rest.")
@click.option("--include-deps", is_flag=True, help="Also of what the services depend on.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@click.pass_obj
def push(
    chosen: Chosen, *, services: tuple[str, ...], ignore_push_failures: bool, include_deps: bool, quiet: bool
) -> None:
    """Send the images of SERVICES, or of all that have `build`, to their registries."""
    project = _project(chosen, services, with_dependencies=include_deps)
    names = sorted(services if services and not include_deps else project.services)
    _push(chosen, chosen.docker(), project, names, quiet=quiet, ignore_failures=ignore_push_failures)


def _push(
    chosen: Chosen, docker: Docker, project: Project, names: Sequence[str], *, quiet: bool, ignore_failures: bool
) -> None:
    from coracle.cli.compose.pulling import push_images, quietly

    progress = quietly(chosen, "Pushing", quiet)
    failures = push_images(chosen, docker, project, names, progress)
    progress.close()
    if failures and not ignore_failures:
        fail(next(iter(failures.values())))


def _project(chosen: Chosen, services: Sequence[str], *, with_dependencies: bool) -> Project:
    """With `services` enabled; with those and what they depend on only, if that is asked for."""
    return chosen.loaded(services) if with_dependencies else chosen.project(services)


def _arguments(given: Sequence[str], chosen: Chosen) -> dict[str, str]:
    """NAME=VALUE, or NAME, whose value is the environment's; one that is not there is left out."""
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not name:
            fail(f'invalid value "{text}" for flag --build-arg')
        if sign or name in chosen.variables:
            found[name] = value if sign else chosen.variables[name]
    return found


def _bytes(text: str) -> int:
    from coracle.compose.units import size_bytes

    try:
        return size_bytes(text) if text else 0
    except ValueError as error:
        fail(f'invalid argument "{text}" for "-m, --memory" flag: {error}')
