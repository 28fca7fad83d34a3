"""`up` in the foreground: what the containers write, until they have ended, or somebody says to stop.

Threads declare, follow the containers and stop them; they tell the main thread what they find, as signals do, and it
decides.  The output begins with the first container that starts, not when all have.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from coracle.cli.compose import containers
from coracle.cli.compose.chosen import Chosen, fail
from coracle.cli.compose.declaring import Outcome, Showing, declaration, declare
from coracle.cli.compose.following import Ended, Following
from coracle.cli.compose.printing import Printer
from coracle.cli.compose.progress import Event
from coracle.cli.docker.client import Docker, Refused

if TYPE_CHECKING:
    from coracle.compose.project import Project

MAKING = ("Creating", "Recreate")
STARTING = ("Starting", "Started", "Waiting", "Healthy", "Exited")
INTERRUPTED = 130


@dataclass
class Verdict:
    """Whether the end of a container ends everything, and with which exit code; pure.

    stops            at the end of any container, of one that failed, or never
    exit_code_from   the service whose first exit code counts, instead of the one that ended everything
    before           those whose good end that service waits for: it ends nothing
    """

    stops: Literal["never", "any", "failure"] = "never"
    exit_code_from: str = ""
    before: Collection[str] = ()
    code: int = 0
    stopping: bool = False
    settled: bool = False

    def hear(self, ended: Ended) -> bool:
        """Whether everything is to be stopped now."""
        if ended.service == self.exit_code_from:
            self.settle(ended.exit_code)
        well = ended.exit_code == 0
        ignored = well and (self.stops == "failure" or ended.service in self.before)
        if self.stopping or self.stops == "never" or ignored:
            return False
        self.stopping = True
        if not self.exit_code_from:
            self.settle(ended.exit_code)
        return True

    def settle(self, code: int) -> None:
        """The first counts."""
        if not self.settled:
            self.code, self.settled = code, True


@dataclass
class Attached:
    """One `up` in the foreground.

    named      the services of the command line; these are waited for and stopped, all where there are none
    shown      the services whose output is shown
    since_s    when it began: older lines are not shown
    beside     what goes on beside the output once all is up: it is not over then when nothing runs
    """

    chosen: Chosen
    project: Project
    printer: Printer
    verdict: Verdict
    named: Sequence[str]
    shown: Collection[str]
    since_s: float
    timestamps: bool = False
    timeout_s: int | None = None
    beside: Callable[[], None] | None = None
    _told: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)
    _making: set[str] = field(default_factory=set)
    _starting: bool = False
    _following: Following | None = None
    _outcome: Outcome | None = None
    _interrupts: int = 0
    _over: bool = False

    def __post_init__(self) -> None:
        self._docker: Docker = self.chosen.docker()
        self._showing = Showing(self.chosen, "Running")

    def run(self, body: dict[str, Any]) -> None:
        """Until it is over; ends the program where its exit code is not 0."""
        try:
            with self._signals():
                self._spawn(lambda: self._declare(body, self._happened), self._declared)
                while not self._over:
                    self._told.get()()
        finally:
            self._showing.close()
        if self._interrupts:
            fail("canceled", INTERRUPTED)
        if self._outcome and not self.verdict.stopping:
            self._outcome.tell()
        if self.verdict.code:
            fail("", self.verdict.code)

    # -- threads -------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """In a thread; what it gives is told to `then`, and its failure is raised, both in the main thread."""

        def thread() -> None:
            try:
                self._told.put(partial(then, work()))
            except Exception as error:
                self._told.put(partial(_raise, error))

        threading.Thread(target=thread, daemon=True).start()

    def _declare(self, body: dict[str, Any], happened: Callable[[Event], None]) -> Outcome:
        def say(event: Event) -> None:
            self._told.put(partial(happened, event))

        return declare(self._docker, self.project.name, body, say, self.project)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def interrupted(*_: object) -> None:
            self._told.put(self._interrupt)

        former = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    # -- what was told, in the main thread -----------------------------------------------------------------------------

    def _happened(self, event: Event) -> None:
        """While it is made so.  Making is shown; starting is seen by the output, which begins when all are made."""
        (self._making.add if event.status in MAKING else self._making.discard)(event.id)
        if event.status in STARTING:
            self._starting = True
        elif self._following is None:
            self._showing.say(event)
        if self._starting and not self._making and self._following is None and not self._interrupts:
            self._attach()

    def _declared(self, outcome: Outcome) -> None:
        self._outcome = outcome
        if self._interrupts:
            return
        if outcome.exit_code and not self.verdict.stopping:
            self._over = True
        elif self._following is None:
            self._attach()
        else:
            self._following.look_again()
        if self.beside and not self._over:
            self._spawn(self.beside, lambda _: None)

    def _attach(self) -> None:
        self._showing.close()
        present = containers.listed(self._docker, self.project.name, self.shown) if self.shown else []
        click.echo(f"Attaching to {', '.join(containers.short_name(one) for one in present)}")
        self._following = following = Following(
            self._docker,
            self.project.name,
            self.printer,
            {*(self.named or self.project.services), *self.shown},
            shown=self.shown,
            query=lambda _container: {"since": f"{self.since_s:.6f}"},
            timestamps=self.timestamps,
            told_since_s=self.since_s,
            split=True,
            on_end=lambda ended: self._told.put(partial(self._ended, ended)),
            expects_more=lambda: self._outcome is None or self.beside is not None,
        )
        self._spawn(following.run, self._followed)

    def _ended(self, ended: Ended) -> None:
        if self.verdict.hear(ended) and not self._interrupts:
            click.echo("Aborting on container exit...", err=True)
            self._stop()

    def _followed(self, _: None) -> None:
        if not self._interrupts and not self.verdict.stopping:
            self._over = True

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            click.echo("Gracefully stopping... (press Ctrl+C again to force)", err=True)
            if not self.verdict.stopping:
                self._stop()
        else:
            self._spawn(self._kill, lambda _: None)

    def _stop(self) -> None:
        if self._following:
            self._following.silent = True
        self._showing.close()
        self._showing = Showing(self.chosen, "Stopping")
        body = declaration("stop", self.project, self.named, timeout_s=self.timeout_s)
        self._spawn(lambda: self._declare(body, self._showing.say), self._stopped)

    def _kill(self) -> None:
        for container in containers.listed(self._docker, self.project.name, self.named, stopped=False):
            with suppress(Refused):  # it has ended meanwhile
                self._docker.call("POST", f"/containers/{container['Id']}/kill")

    def _stopped(self, outcome: Outcome) -> None:
        if self.verdict.exit_code_from and not self.verdict.settled:
            self._settle()
        self._over = True
        if outcome.exit_code:
            self._showing.close()
            outcome.tell()

    def _settle(self) -> None:
        """The exit code that counts, of a container whose end was not heard of yet; 1 where it never ran."""
        for container in containers.listed(self._docker, self.project.name, [self.verdict.exit_code_from])[:1]:
            state = self._docker.call("GET", f"/containers/{container['Id']}/json")["State"]
            self.verdict.settle(1 if state["Status"] == "created" else int(state["ExitCode"]))
        self.verdict.settle(1)


def _raise(error: Exception) -> None:
    raise error
