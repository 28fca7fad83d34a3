"""`coracle compose up`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.goflags import Command
from coracle.cli.compose.lifecycle import timeout_option
from coracle.cli.compose.making import Making, making_options

if TYPE_CHECKING:
    from coracle.compose.project import Project


@dataclass(frozen=True)
class Attaching:
    """Whose output is shown, how, and what happens when a container ends; as the options of the same names."""

    attach: Sequence[str] = ()
    no_attach: Sequence[str] = ()
    attach_dependencies: bool = False
    abort_on_container_exit: bool = False
    abort_on_container_failure: bool = False
    exit_code_from: str = ""
    no_color: bool = False
    no_log_prefix: bool = False
    timestamps: bool = False

    @property
    def stops_at_any(self) -> bool:
        return self.abort_on_container_exit or bool(self.exit_code_from and not self.abort_on_container_failure)

    @property
    def asked_for(self) -> bool:
        """Whether an option was given that makes no sense in the background."""
        return bool(self.attach or self.attach_dependencies or self.stops_at_any or self.abort_on_container_failure)

    def shown(self, project: Project, services: Sequence[str]) -> list[str]:
        """The services whose output is shown.  Ends the program where an option names one that takes no part."""
        from coracle.compose import order

        named = list(services or project.services)
        part = order.closure(named, order.dependencies(project.services))
        if self.exit_code_from and self.exit_code_from not in part:
            fail(f"no such service: {self.exit_code_from}")
        strangers = sorted(set(self.attach) - part)
        if strangers:
            fail(f"cannot attach to services not included in up: {', '.join(strangers)}")
        candidates = part if self.attach_dependencies else named
        wanted = set(self.attach) or {name for name in candidates if project.services[name].get("attach", True)}
        return sorted(wanted - set(self.no_attach))

    def _before(self, project: Project) -> set[str]:
        """Who has to end well before the service whose exit code counts may start."""
        from coracle.compose import order

        part = order.closure([self.exit_code_from], order.dependencies(project.services)) - {""}
        waits = [how for name in part for how in (project.services[name].get("depends_on") or {}).items()]
        return {name for name, how in waits if how["condition"] == "service_completed_successfully"}

    def run(
        self,
        chosen: Chosen,
        project: Project,
        body: dict[str, Any],
        shown: Sequence[str],
        beside: Callable[[], None] | None = None,
    ) -> None:
        """Declare in the foreground; ends the program where its exit code is not 0."""
        from coracle.cli.compose.attached import Attached, Verdict
        from coracle.cli.compose.printing import Printer, in_colour
        from coracle.core.clock import SystemClock

        stops: Literal["any", "failure", "never"] = "any" if self.stops_at_any else "never"
        Attached(
            chosen,
            project,
            Printer(colour=in_colour(chosen) and not self.no_color, prefix=not self.no_log_prefix),
            Verdict(
                "failure" if self.abort_on_container_failure else stops, self.exit_code_from, self._before(project)
            ),
            named=body["services"],
            shown=shown,
            since_s=SystemClock().now_s(),
            timestamps=self.timestamps,
            timeout_s=body["timeout_s"],
            beside=beside,
        ).run(body)


@click.command("up", cls=Command, short_help="Make and start the containers.")
@click.argument("services", nargs=-1)
@click.option("-d", "--detach", is_flag=True, help="In the background.")
@making_options
@click.option("--always-recreate-deps", is_flag=True, help="Also make anew what the services depend on.")
@click.option("-V", "--renew-anon-volumes", is_flag=True, help="New anonymous volumes for containers made anew.")
@click.option("--no-deps", is_flag=True, help="Leave what the services depend on alone.")
@click.option("--no-start", is_flag=True, help="Make the containers only.")
@click.option("--wait", "waits", is_flag=True, help="Until all run and are healthy; in the background.")
@click.option("--wait-timeout", "wait_timeout_s", type=int, metavar="SECONDS", help="Wait no longer.")
@timeout_option
@click.option("--attach", multiple=True, metavar="SERVICE", help="Show the output of these only.")
@click.option("--no-attach", multiple=True, metavar="SERVICE", help="Do not show the output of these.")
@click.option("--attach-dependencies", is_flag=True, help="Also show the output of what the services depend on.")
@click.option("--abort-on-container-exit", is_flag=True, help="Stop everything when a container ends.")
@click.option("--abort-on-container-failure", is_flag=True, help="Stop everything when a container fails.")
@click.option("--exit-code-from", metavar="SERVICE", default="", help="Stop when any ends; exit as this one did.")
@click.option("--no-color", is_flag=True, help="Without colours.")
@click.option("--no-log-prefix", is_flag=True, help="Without the container's name before each line.")
@click.option("--timestamps", is_flag=True, help="With the moment of each line.")
@click.option("-w", "--watch", is_flag=True, help="Bring changed files in, as `develop.watch` says.")
@click.option("--menu/--no-menu", hidden=True)
@click.option("--keep-going", is_flag=True, help="Keep what did start where something cannot be started.")
@click.pass_obj
def up(
    chosen: Chosen,
    /,
    *,
    services: Sequence[str],
    detach: bool,
    making: Making,
    no_deps: bool,
    no_start: bool,
    waits: bool,
    wait_timeout_s: int | None,
    timeout_s: int | None,
    watch: bool,
    menu: bool,
    keep_going: bool,
    **attaching: Any,
) -> None:
    """Make and start the containers of the services and of what they depend on, and show what they write.

    Ctrl-C stops them.  What differs from the files is made anew; what does not is left alone.  Where something cannot
    be started, what this command has changed is taken back.
    """
    from coracle.cli.compose.building import whole
    from coracle.cli.compose.declaring import declaration, settled

    attached = Attaching(**attaching)
    _check(making, attached, detach=detach, waits=waits, watch=watch, menu=menu)
    project = chosen.project(services)
    making.check(chosen, project)
    project = whole(project, services, no_deps=no_deps)
    shown = attached.shown(project, services)
    beside = _watching(chosen, project, services) if watch else None
    making.prepare(chosen, project, services, no_deps=no_deps)
    body = declaration(
        "create" if no_start else "up",
        project,
        services,
        no_deps=no_deps,
        wait=waits,
        wait_timeout_s=wait_timeout_s or None,
        timeout_s=timeout_s,
        keep_going=keep_going,
        **making.words(chosen),
    )
    if no_start or detach or waits or chosen.dry_run or not project.services:
        settled(chosen, project.name, body, project=project)
        if chosen.dry_run and not (no_start or detach or waits):
            click.echo("end of 'compose up' output, interactive run is not supported in dry-run mode")
    else:
        attached.run(chosen, project, body, shown, beside)


def _watching(chosen: Chosen, project: Project, services: Sequence[str]) -> Callable[[], None]:
    """What `--watch` does beside the output.  Ends the program where there is nothing to watch."""
    from coracle.cli.compose.watching import Watching, rules

    watching = Watching(chosen, project, rules(project, services), say=_say_of_watching)
    context = click.get_current_context()  # which is a thread's own

    def run() -> None:
        with context.scope(cleanup=False):
            watching.run()

    return run


def _say_of_watching(text: str) -> None:
    """A line among those of the containers, told from them by its mark."""
    click.echo(f"{'':8}⦿ {text}")


def _check(making: Making, attached: Attaching, *, detach: bool, waits: bool, watch: bool, menu: bool) -> None:
    """Ends the program where options contradict each other."""
    if attached.abort_on_container_exit and attached.abort_on_container_failure:
        fail("--abort-on-container-failure cannot be combined with --abort-on-container-exit")
    if waits and attached.asked_for:
        fail("--wait cannot be combined with --abort-on-container-exit, --attach or --attach-dependencies")
    if (detach or waits) and (attached.asked_for or watch):
        fail(
            "--detach cannot be combined with --abort-on-container-exit, --abort-on-container-failure, --attach, "
            "--attach-dependencies or --watch"
        )
    if attached.attach and attached.attach_dependencies:
        fail("cannot combine --attach and --attach-dependencies")
    if making.no_build and watch:
        fail("--no-build and --watch are incompatible")
    if menu:
        fail("--menu is not supported: there is no menu beneath the output")
    making.check_alone()
