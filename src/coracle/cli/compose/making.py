"""The options by which `up` and `create` make containers, and the images that these need."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from coracle.cli.compose.chosen import Chosen, fail

if TYPE_CHECKING:
    from coracle.compose.project import Project

PULLS = ("always", "missing", "never", "build", "policy")

# two that contradict each other
_APART = (
    ("build", "no_build"),
    ("force_recreate", "no_recreate"),
    ("always_recreate_deps", "no_recreate"),
    ("no_recreate", "renew_anon_volumes"),
)


@dataclass(frozen=True)
class Making:
    """As the options of the same names."""

    build: bool = False
    no_build: bool = False
    pull: str = "policy"
    quiet_pull: bool = False
    force_recreate: bool = False
    no_recreate: bool = False
    always_recreate_deps: bool = False
    renew_anon_volumes: bool = False
    remove_orphans: bool = False
    scale: Sequence[str] = ()

    def check(self, chosen: Chosen, project: Project) -> None:
        """Ends the program where options go against the project or the environment."""
        if chosen.says("COMPOSE_IGNORE_ORPHANS") and self.removes_orphans(chosen):
            fail("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans")
        for name in self.scales():
            if name not in project.services:
                fail(f"no such service: {name}")
        if not project.services and not chosen.request.all_resources:
            fail("no service selected")

    def check_alone(self) -> None:
        """What needs no project."""
        for one, other in _APART:
            if getattr(self, one) and getattr(self, other):
                fail(f"--{one} and --{other} are incompatible".replace("_", "-"))
        if self.pull not in PULLS:
            fail(f'invalid --pull option "{self.pull}"')

    def scales(self) -> dict[str, int]:
        return scales(self.scale, 'invalid --scale option "{}". Should be SERVICE=NUM')

    def removes_orphans(self, chosen: Chosen) -> bool:
        return self.remove_orphans or chosen.says("COMPOSE_REMOVE_ORPHANS")

    def prepare(self, chosen: Chosen, project: Project, services: Sequence[str], *, no_deps: bool = False) -> None:
        """Bring in and build the images that are missing or due.  Ends the program where one cannot be had."""
        from coracle.cli.compose.building import ensure_images
        from coracle.compose import order

        taking_part = list(services or project.services)
        if not no_deps:
            needed = order.closure(taking_part, order.dependencies(project.services))
            taking_part = [name for name in project.services if name in needed]
        wanted = [name for name in taking_part if self.scales().get(name) != 0]
        build = True if self.build else False if self.no_build else None
        pull = "" if self.pull == "policy" else self.pull
        if wanted:
            ensure_images(chosen, chosen.docker(), project, wanted, build=build, pull=pull, quiet=self.quiet_pull)

    def words(self, chosen: Chosen) -> dict[str, Any]:
        """What of a declaration these say."""
        changed = "never" if self.no_recreate else "changed"
        return {
            "scale": self.scales(),
            "recreate": "force" if self.force_recreate else changed,
            "recreate_deps": "force" if self.always_recreate_deps else changed,
            "renew_volumes": self.renew_anon_volumes,
            "remove_orphans": self.removes_orphans(chosen),
            "all_resources": chosen.request.all_resources,
        }


def scales(given: Sequence[str], complaint: str) -> dict[str, int]:
    """`["web=3"]` -> `{"web": 3}`.  Ends the program with `complaint` for what is not of that form."""
    found = {}
    for text in given:
        name, equals, number = text.partition("=")
        if not equals or not name:
            fail(complaint.format(text))
        if not (number.isascii() and number.isdecimal()):
            fail(f'invalid number of containers "{number}" for {name}: must be a number, 0 or more')
        found[name] = int(number)
    return found


_OPTIONS = (
    click.option("--build", is_flag=True, help="Build images that can be built, even where they are there."),
    click.option("--no-build", is_flag=True, help="Build nothing, even what is missing."),
    click.option("--pull", default="policy", metavar="WHEN", help="Images: always, missing, never, build."),
    click.option("--quiet-pull", is_flag=True, help="Pull without saying how far it has come."),
    click.option("--force-recreate", is_flag=True, help="Make containers anew even where nothing changed."),
    click.option("--no-recreate", is_flag=True, help="Leave containers as they are even where something changed."),
    click.option("--remove-orphans", is_flag=True, help="Remove containers of services that the files do not have."),
    click.option("--scale", multiple=True, metavar="SERVICE=NUM", help="So many containers of a service."),
)


def making_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a Making; the command gets one as `making`."""
    names = {one.name for one in fields(Making)}

    @functools.wraps(command)
    def with_making(*arguments: Any, **options: Any) -> Any:
        own: Mapping[str, Any] = {name: options.pop(name) for name in names & set(options)}
        return command(*arguments, making=Making(**own), **options)

    for option in reversed(_OPTIONS):
        option(with_making)
    return with_making
