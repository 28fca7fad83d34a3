"""A Runtime without Linux, for tests on virtual time: containers are entries in a dictionary, programs are scripted.

    true, false, exit N    ends at once with that code            ("exit", "3")
    sleep S                ends with 0 after that time            ("sleep", "5"); "infinity" never
    echo WORDS             writes them and ends with 0
    cat                    writes what it reads, ends when its input is closed
    oom                    is ended by the kernel for its memory: 137
    stubborn ARGV          the same, deaf to every signal but KILL
    missing                cannot be executed: `create` and `exec` raise Invalid
    anything else          runs until it is killed: TERM, INT, QUIT, HUP and KILL end it with 128 + n

`failures` makes the next call of an operation fail; `calls` says what was asked; `lose_monitor` is a `kill -9` of it.
One FakeRuntime outlives the engine under test, as conmon does: a second engine on it finds states and exits again.
"""

# long: one stand-in, better read in one piece

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from coracle.core.clock import Clock, rfc3339_micro
from coracle.core.errors import AlreadyExists, Conflict, Invalid, NotFound
from coracle.runtime.api import Bundle, Execution, Exit, Group, Process, Refusal, Resources, State, Streams, Usage
from coracle.runtime.spec import problems_of, process_problems

_DEADLY = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP})
_FIRST_PID = 1000


class FakeStreams:
    """Somebody's end of a program's streams."""

    def __init__(self, program: _Program) -> None:
        self._program = program
        self._said: deque[tuple[Literal[1, 2], bytes]] = deque()
        self._changed = asyncio.Event()
        self.closed = False

    async def write(self, data: bytes) -> None:
        self._program.read(data)

    def close_stdin(self) -> None:
        self._program.read_end()

    def resize(self, columns: int, rows: int) -> None:
        self._program.size = (columns, rows)

    async def __aiter__(self) -> AsyncIterator[tuple[Literal[1, 2], bytes]]:
        while True:
            while self._said:
                yield self._said.popleft()
            if self.closed or self._program.code is not None:
                return
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        self.closed = True
        self.wake()

    def hear(self, data: bytes) -> None:
        self._said.append((1, data))
        self.wake()

    def wake(self) -> None:
        self._changed.set()


class FakeExecution(FakeStreams):
    """A program beside the first."""

    @property
    def pid(self) -> int:
        return self._program.pid

    async def wait(self) -> int:
        await self._program.ended.wait()
        return self._program.code or 0

    def signal(self, number: int) -> None:
        self._program.signal(number)


class _Program:
    """A scripted program: what it does when it runs, hears a signal, reads."""

    def __init__(self, process: Process, pid: int, tell_end: Callable[[_Program], None]) -> None:
        self.process, self.pid = process, pid
        self.code: int | None = None
        self.ended = asyncio.Event()
        self.size = process.tty_size
        self.streams: list[FakeStreams] = []
        self.oom_killed = False
        self.log: Callable[[bytes], None] = lambda data: None
        self._tell_end = tell_end
        self._stubborn = process.argv[0] == "stubborn"
        self._argv = process.argv[1:] if self._stubborn else process.argv

    def run(self) -> None:
        name, *rest = self._argv
        if name in ("true", "false", "exit"):
            self.end({"true": 0, "false": 1}[name] if name != "exit" else int(rest[0]))
        elif name == "sleep" and rest != ["infinity"]:
            asyncio.get_running_loop().call_later(float(rest[0]), self.end, 0)
        elif name == "echo":
            self.say(" ".join(rest).encode() + b"\n")
            self.end(0)
        elif name == "oom":
            self.oom_killed = True
            self.end(128 + signal.SIGKILL)

    def signal(self, number: int) -> None:
        if number == signal.SIGKILL or (number in _DEADLY and not self._stubborn):
            self.end(128 + number)

    def read(self, data: bytes) -> None:
        if self._argv[0] == "cat":
            self.say(data)

    def read_end(self) -> None:
        if self._argv[0] == "cat":
            self.end(0)

    def say(self, data: bytes) -> None:
        self.log(data)
        for stream in self.streams:
            stream.hear(data)

    def end(self, code: int) -> None:
        if self.code is None:
            self.code = code
            self.ended.set()
            for stream in self.streams:
                stream.wake()
            self._tell_end(self)


@dataclass
class _Container:
    bundle: Bundle
    program: _Program
    state: Literal["created", "running", "stopped"] = "created"
    paused: bool = False
    exit: Exit | None = None
    execs: list[_Program] = field(default_factory=list)


class FakeRuntime:
    """Containers in memory.  See the module for what their programs do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._containers: dict[str, _Container] = {}
        self._listeners: list[asyncio.Queue[Exit]] = []
        self._next_pid = _FIRST_PID
        self.failures: dict[str, list[Exception]] = {}
        self.calls: list[tuple[str, str]] = []

    async def create(self, bundle: Bundle) -> int:
        self._note("create", bundle.id)
        if bundle.id in self._containers:
            raise AlreadyExists(kind="Container", name=bundle.id)
        problems = problems_of(bundle)
        if problems:
            raise Invalid(problems, kind="Container", name=bundle.id)
        program = self._program(bundle.process, lambda program: self._ended(bundle.id, program))
        program.log = lambda data: _log(bundle.log_path, data, self._clock)
        _log(bundle.log_path, b"", self._clock)
        self._containers[bundle.id] = _Container(bundle, program)
        return program.pid

    async def start(self, id: str) -> None:
        self._note("start", id)
        container = self._get(id)
        if container.state != "created":
            raise Conflict(f"container {id} is {container.state}", kind="Container", name=id)
        container.state = "running"
        container.program.run()

    async def kill(self, id: str, signal: int, *, all: bool = False) -> None:
        self._note("kill", id)
        container = self._get(id)
        for program in [container.program, *(container.execs if all else [])]:
            if program.code is None:
                program.signal(signal)

    async def delete(self, id: str) -> None:
        self._note("delete", id)
        container = self._containers.pop(id, None)
        if container is not None:
            container.program.signal(signal.SIGKILL)

    async def exec(self, id: str, process: Process, *, stdin: bool = False) -> Execution:
        self._note("exec", id)
        container = self._get_running(id)
        problems = process_problems(process)
        if problems:
            raise Invalid(problems, kind="Container", name=id)
        program = self._program(process, lambda program: None)
        execution = FakeExecution(program)
        program.streams.append(execution)
        container.execs.append(program)
        program.run()
        return execution

    async def attach(self, id: str) -> Streams:
        self._note("attach", id)
        container = self._get(id)
        if container.state == "stopped":
            raise Conflict(f"container {id} is not running", kind="Container", name=id)
        streams = FakeStreams(container.program)
        container.program.streams.append(streams)
        return streams

    async def states(self) -> Sequence[State]:
        return [
            State(id, container.state, 0 if container.state == "stopped" else container.program.pid, container.paused)
            for id, container in sorted(self._containers.items())
        ]

    async def exits(self) -> AsyncIterator[Exit]:
        news: asyncio.Queue[Exit] = asyncio.Queue()
        for container in self._containers.values():
            if container.exit is not None:
                news.put_nowait(container.exit)
        self._listeners.append(news)
        try:
            while True:
                yield await news.get()
        finally:
            self._listeners.remove(news)

    def resize(self, id: str, columns: int, rows: int) -> None:
        self._note("resize", id)
        self._get(id).program.size = (columns, rows)

    async def reopen_log(self, id: str) -> None:
        self._note("reopen_log", id)
        _log(self._get(id).bundle.log_path, b"", self._clock)

    async def update(self, id: str, resources: Resources) -> None:
        self._note("update", id)
        self._get(id)

    async def update_group(self, group: Group) -> None:
        self._note("update_group", group.name)

    def usage(self, id: str) -> Usage:
        return Usage(pids=len(self.processes(id)))

    def processes(self, id: str) -> Sequence[int]:
        container = self._get(id)
        return [program.pid for program in (container.program, *container.execs) if program.code is None]

    @property
    def lacking(self) -> frozenset[str]:
        return frozenset()

    async def pause(self, id: str) -> None:
        self._note("pause", id)
        self._get_running(id).paused = True

    async def resume(self, id: str) -> None:
        self._note("resume", id)
        self._get(id).paused = False

    # -- for tests -----------------------------------------------------------------------------------------------

    def bundle(self, id: str) -> Bundle:
        """What it was made from.  Raises NotFound."""
        return self._get(id).bundle

    def execs(self, id: str) -> Sequence[_Program]:
        """The programs started beside the first, with `process`, `size` and `code`.  Raises NotFound."""
        return self._get(id).execs

    def lose_monitor(self, id: str) -> None:
        """As if its monitor had been killed: the container ends, and nobody knows how."""
        container = self._get(id)
        container.state = "stopped"
        container.program.code = 255
        self._tell(container, Exit(id, 255, self._clock.now_s(), known=False))

    def _program(self, process: Process, tell_end: Callable[[_Program], None]) -> _Program:
        if process.argv and process.argv[0] == "missing":
            raise Refusal(message="executable file `missing` not found in $PATH: No such file or directory")
        self._next_pid += 1
        return _Program(process, self._next_pid, tell_end)

    def _ended(self, id: str, program: _Program) -> None:
        container = self._containers.get(id)
        if container is not None:
            container.state = "stopped"
            self._tell(container, Exit(id, program.code or 0, self._clock.now_s(), oom_killed=program.oom_killed))

    def _tell(self, container: _Container, exit: Exit) -> None:
        container.exit = exit
        for program in container.execs:
            program.signal(signal.SIGKILL)
        for news in self._listeners:
            news.put_nowait(exit)

    def _get(self, id: str) -> _Container:
        if id not in self._containers:
            raise NotFound(kind="Container", name=id)
        return self._containers[id]

    def _get_running(self, id: str) -> _Container:
        container = self._get(id)
        if container.state != "running" or container.paused:
            state = "paused" if container.paused else container.state
            raise Conflict(f"container {id} is {state}", kind="Container", name=id)
        return container

    def _note(self, operation: str, id: str) -> None:
        self.calls.append((operation, id))
        waiting = self.failures.get(operation)
        if waiting:
            raise waiting.pop(0)


def _log(path: str, data: bytes, clock: Clock) -> None:
    """As conmon writes: time, stream, F for a full line, the line."""
    if not path:
        return
    at = rfc3339_micro(clock.now_s()).replace("Z", "000+00:00")
    with Path(path).open("ab") as file:
        for line in data.splitlines():
            file.write(f"{at} stdout F ".encode() + line + b"\n")
