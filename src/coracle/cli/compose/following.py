"""What the containers of a project say, as they say it: through restarts, and of those that come later.

A thread reads each container's log and one reads Docker's events; all put what they find on one queue, which `run`
takes from.  A container's end is told once all that it said has been.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from typing import Any

from coracle.cli.compose import containers
from coracle.cli.compose.printing import Printer
from coracle.cli.docker.client import Docker, Query, Refused, json_lines
from coracle.cli.docker.frames import STDERR, is_multiplexed, lines, outputs, pieces_of
from coracle.cli.failure import Failure
from coracle.core.clock import from_rfc3339

Inspected = tuple[Mapping[str, Any], Mapping[str, str], str]
"""State, labels and name of a container; nothing where it is gone."""
WAITING_LINES = 1000  # read and not yet printed; then the reading waits
EVERYTHING: Query = {"tail": "all"}


@dataclass
class Watched:
    """A container that is followed.  `exit_code`: it has ended and that is to be told."""

    id: str
    name: str
    service: str
    started_at: str
    lived: bool
    """Whether it ran since we came: its end will be heard of."""
    reading: bool = False
    exit_code: int | None = None
    again: Query | None = None
    """What to read of runs that began before the log of the one before them had been read: from the first of them."""


@dataclass(frozen=True)
class Ended:
    """A container that ended, and is not being restarted."""

    name: str
    service: str
    exit_code: int


@dataclass
class Following:
    """`run` returns when nothing of the project runs any more (and `expects_more` says no), or after `stop`.

    `services`: whom it is about, all where empty.  `shown`: whose lines and ends are printed, all where None.
    `query`: what to read of a container at the beginning: `tail`, `since`, `until` of Docker's logs.
    `told_since_s`: an end at this moment or later is told even where it was before we came.
    `on_end` is called in the order of ends, from `run`.  `split`: lines of stderr go to standard error.
    """

    docker: Docker
    project: str
    printer: Printer
    services: Collection[str] = ()
    shown: Collection[str] | None = None
    query: Callable[[containers.Summary], Query] = lambda _container: EVERYTHING
    timestamps: bool = False
    index: int = 0
    told_since_s: float = math.inf
    split: bool = False
    on_end: Callable[[Ended], None] = lambda _ended: None
    expects_more: Callable[[], bool] = lambda: False
    silent: bool = False
    """Nothing is printed any more; ends are still noticed."""
    _found: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(WAITING_LINES))
    _watched: dict[str, Watched] = field(default_factory=dict)
    _over: dict[str, str] = field(default_factory=dict)
    """The moment at which the last run of a container began that was read to its end."""
    _ended: dict[str, Watched] = field(default_factory=dict)
    """Those whose end is to be told, in the order of ends: each when it, and all before it, have been read out."""
    _stopped: bool = False

    def run(self) -> None:
        """Follow.  Raises Failure where the cloud goes away."""
        label = [f"{containers.LABEL}project={self.project}", f"{containers.LABEL}oneoff=False"]
        filters = {"type": ["container"], "label": label, "event": ["start", "die", "destroy"]}
        self._spawn(self._read_events, self.docker.read("GET", "/events", {"filters": filters}))
        self._look()
        while not self._stopped and (self._watched or self._expects_more()):
            self._found.get()()

    def stop(self) -> None:
        """From a signal's handler or another thread."""
        self._found.put(self._end)

    def look_again(self) -> None:
        """What `expects_more` says has changed; from another thread."""
        self._found.put(lambda: None)

    def _shows(self, watched: Watched) -> bool:
        return not self.silent and (self.shown is None or watched.service in self.shown)

    def _end(self) -> None:
        self._stopped = True

    def _expects_more(self) -> bool:
        """Whether to go on though nothing is followed: what was there when it said no is found by looking again."""
        if not self.expects_more():
            self._look()
            return bool(self._watched)
        return True

    def _look(self) -> None:
        """Follow what there is and is not followed yet."""
        present = containers.listed(self.docker, self.project, self.services, index=self.index)
        for container in present:
            if self.shown is None or containers.service_of(container) in self.shown:
                self.printer.register(containers.short_name(container))
        fresh = [one for one in present if one["State"] != "created" and one["Id"] not in self._watched]
        found = [(one, self._inspected(one["Id"])) for one in fresh]
        for container, inspected in sorted(found, key=lambda one: _finished_s(one[1][0])):
            self._watch(container["Id"], inspected, self.query(container), self.told_since_s)

    def _watch(self, id: str, inspected: Inspected, query: Query, told_since_s: float) -> None:
        """Follow the present run of a container; nothing where that has been followed, or it is gone."""
        state, labels, name = inspected
        if not state or state["StartedAt"] == self._over.get(id):
            return
        if id in self._over:
            query, told_since_s = _since(state), 0
        service = labels.get(f"{containers.LABEL}service", "")
        watched = Watched(id, containers.shortened(name, labels), service, state["StartedAt"], _lives(state))
        if self._shows(watched):
            self.printer.register(watched.name)
        self._watched[id] = watched
        self._read(watched, query)
        if not _lives(state) and _finished_s(state) >= told_since_s:
            self._note_end(watched, int(state["ExitCode"]))

    def _inspected(self, id: str) -> Inspected:
        try:
            found = self.docker.call("GET", f"/containers/{id}/json")
        except Refused as error:
            if error.status == 404:
                return {}, {}, ""
            raise
        return found["State"], found["Config"]["Labels"] or {}, str(found["Name"]).removeprefix("/")

    # -- threads -------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _read(self, watched: Watched, query: Query) -> None:
        watched.reading = True
        self._spawn(self._read_log, watched, query)

    def _read_log(self, watched: Watched, query: Query) -> None:
        asked = {**query, "follow": True, "stdout": True, "stderr": True, "timestamps": self.timestamps}
        try:
            with self.docker.read("GET", f"/containers/{watched.id}/logs", asked) as answer:
                multiplexed = is_multiplexed(answer.headers.get("Content-Type"))
                for stream, line in lines(outputs(pieces_of(answer), multiplexed=multiplexed)):
                    self._room.acquire()
                    self._found.put(partial(self._say, watched, stream, line))
        except (Failure, OSError, ValueError, HTTPException):
            pass  # removed meanwhile, or the cloud goes away: the events tell
        self._found.put(partial(self._read_out, watched))

    def _read_events(self, events: Any) -> None:
        try:
            with events:
                for event in json_lines(events):
                    self._found.put(partial(self._happened, event))
        except (Failure, OSError, ValueError, HTTPException):
            pass
        self._found.put(self._lost)

    # -- what was found, in `run`'s thread -----------------------------------------------------------------------------

    def _say(self, watched: Watched, stream: int, line: bytes) -> None:
        self._room.release()
        if self._shows(watched):
            self.printer.line(watched.name, line, error=self.split and stream == STDERR)

    def _read_out(self, watched: Watched) -> None:
        watched.reading = False
        if watched.again:
            again, watched.again = watched.again, None
            self._read(watched, again)
        elif watched.exit_code is not None:
            self._tell_ends()
        elif not watched.lived:
            self._forget(watched)  # it had ended before we came

    def _happened(self, event: Mapping[str, Any]) -> None:
        labels, id = event["Actor"]["Attributes"], event["Actor"]["ID"]
        if self.services and labels.get(f"{containers.LABEL}service") not in self.services:
            return
        if self.index and labels.get(f"{containers.LABEL}container-number") != str(self.index):
            return
        match event["Action"]:
            case "start":
                self._started(id)
            case "die":
                self._died(id, int(labels.get("exitCode", 0)))

    def _started(self, id: str) -> None:
        inspected = self._inspected(id)
        state, _, _ = inspected
        if not state:
            return
        watched = self._watched.get(id)
        if watched is None:
            self._watch(id, inspected, _since(state), 0)
            return
        if watched.started_at == state["StartedAt"]:
            return  # it is this start that we read already
        watched.started_at, watched.lived, watched.exit_code = state["StartedAt"], True, None
        if watched.reading:
            watched.again = watched.again or _since(state)
        else:
            self._read(watched, _since(state))
        if self._ended.pop(id, None):
            self._tell_ends()  # of those that waited for it

    def _died(self, id: str, exit_code: int) -> None:
        watched = self._watched.get(id)
        if watched is None or watched.exit_code is not None or _lives(self._inspected(id)[0]):
            return  # known, or being restarted: more is to come
        self._note_end(watched, exit_code)
        self._tell_ends()

    def _note_end(self, watched: Watched, exit_code: int) -> None:
        watched.exit_code = exit_code
        self._ended[watched.id] = watched

    def _tell_ends(self) -> None:
        for watched in tuple(self._ended.values()):
            if watched.reading:
                return
            del self._ended[watched.id]
            self._tell_end(watched)

    def _forget(self, watched: Watched) -> None:
        self._watched.pop(watched.id, None)
        self._over[watched.id] = watched.started_at

    def _tell_end(self, watched: Watched) -> None:
        self._forget(watched)
        code = watched.exit_code or 0
        if self._shows(watched):
            self.printer.status(watched.name, f"exited with code {code}")
        self.on_end(Ended(watched.name, watched.service, code))

    def _lost(self) -> None:
        if not self._stopped:
            raise Failure("the cloud went away")


def _since(state: Mapping[str, Any]) -> Query:
    return {"since": f"{from_rfc3339(state['StartedAt']):.6f}"}


def _finished_s(state: Mapping[str, Any]) -> float:
    """When the last run ended; 0 where one goes on."""
    return 0.0 if not state or _lives(state) else from_rfc3339(state["FinishedAt"])


def _lives(state: Mapping[str, Any]) -> bool:
    return bool(state.get("Running") or state.get("Restarting"))
