"""Execs as Docker keeps them: made first, started once, asked for their code afterwards.

Nothing of them is recorded: a new daemon knows none.  Those of a removed container are forgotten; of the others that
have ended, or were never started, the last thousand are kept.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from coracle.core.errors import Conflict, NotFound
from coracle.core.informer import Informer
from coracle.core.store import Event
from coracle.core.tasks import Tasks
from coracle.runtime.api import Execution

IDLE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecConfig:
    """What to run, and which of its streams are for the client."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    tty: bool = False
    privileged: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    keys: str = ""
    size: tuple[int, int] | None = None

    @property
    def words(self) -> str:
        """The command as one text, as events show it."""
        return " ".join(self.argv)


@dataclass(slots=True)
class Exec:
    """One program beside a container's own."""

    id: str
    container_id: str
    config: ExecConfig
    state: Literal["created", "running", "ended"] = "created"
    code: int | None = None
    pid: int = 0
    execution: Execution | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, execution: Execution) -> None:
        self.execution, self.pid = execution, execution.pid
        self.begun.set()

    def end(self, code: int) -> None:
        self.state, self.code, self.execution = "ended", code, None
        self.begun.set()
        self.ended.set()


class Instances:
    """A Part: from when it runs, removed containers take their execs with them."""

    def __init__(self, containers: Informer) -> None:
        self._containers = containers
        self._execs: dict[str, Exec] = {}
        self._tasks = Tasks()

    async def run(self, up: Callable[[], None]) -> None:
        self._containers.listen(self._record_changed)
        await self._tasks.run(up)

    def add(self, container_id: str, config: ExecConfig) -> Exec:
        idle = [exec.id for exec in self._execs.values() if exec.state != "running"]
        for id in idle[: max(0, len(idle) - IDLE + 1)]:
            del self._execs[id]
        made = Exec(secrets.token_hex(32), container_id, config)
        self._execs[made.id] = made
        return made

    def get(self, id: str) -> Exec:
        """Raises NotFound."""
        found = self._execs.get(id)
        if found is None:
            raise NotFound(f"No such exec instance: {id[:100]}", kind="Exec", name=id)
        return found

    def of(self, container_id: str) -> list[str]:
        """The ids of those that run in a container."""
        return [
            exec.id for exec in self._execs.values() if exec.container_id == container_id and exec.state == "running"
        ]

    def claim(self, exec: Exec) -> None:
        """It is being started, which happens once.  Raises Conflict."""
        if exec.state != "created":
            said = "is already running" if exec.state == "running" else "has already run"
            raise Conflict(f"Error: Exec command {exec.id} {said}", kind="Exec", name=exec.id)
        exec.state = "running"

    def watch(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do `work` whatever becomes of the client that began it."""
        self._tasks.begin(work, name)

    def _record_changed(self, change: Event) -> None:
        if change.type == "DELETED":
            gone = change.entry.key.name
            self._execs = {id: exec for id, exec in self._execs.items() if exec.container_id != gone}
