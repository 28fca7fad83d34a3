"""Running a program beside the first: the runtime's `exec`, with our pipes or a terminal.

The command stays as the program's parent and ends with its code.  Whether it got that far is seen from its pid file,
for which it is given a pipe (crun) or a watched directory (runc, which renames into place): the pid comes when the
program is about to be executed; an end without it means that the command failed, and why is on its standard error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from coracle.linux import idmaps, inotify
from coracle.runtime.conmon import waiting
from coracle.runtime.conmon.children import Child
from coracle.runtime.conmon.commands import failure
from coracle.runtime.conmon.monitor import Binaries
from coracle.runtime.conmon.places import Place
from coracle.runtime.conmon.streams import ExecStreams

_NULL = -3  # subprocess.DEVNULL


@dataclass
class _Ends:
    """Descriptors while an exec is being started: `child`'s are closed once it has them, `ours` if it fails."""

    child: list[int] = field(default_factory=list)
    ours: list[int] = field(default_factory=list)

    def pipe(self, *, reading: bool) -> tuple[int, int]:
        """(our end, which does not block; the child's end)."""
        reader, writer = waiting.pipe()
        mine, its = (reader, writer) if reading else (writer, reader)
        os.set_blocking(mine, False)
        self.ours.append(mine)
        self.child.append(its)
        return mine, its

    def close_child(self) -> None:
        waiting.close_all(self.child)
        self.child.clear()

    def replace(self, old: int, new: int) -> None:
        """Of ours: `old` is not needed any more."""
        os.close(old)
        self.ours[self.ours.index(old)] = new

    def close_ours(self) -> None:
        waiting.close_all(self.ours)


async def execute(binaries: Binaries, place: Place, process: dict[str, Any], *, stdin: bool) -> ExecStreams:
    """Raises Conflict, NotFound, Refusal, Broken."""
    with contextlib.ExitStack() as undo:
        ends = _Ends()
        undo.callback(ends.close_ours)
        directory = Path(tempfile.mkdtemp(prefix="exec-", dir=place.bundle))
        try:
            (directory / "process.json").write_bytes(orjson.dumps(process))
            first_id = _first_id(place.pid())
            command = _Command(binaries, place, directory, ends, process["user"]["uid"], first_id)
            streams = await (command.with_terminal() if process["terminal"] else command.with_pipes(stdin=stdin))
        finally:
            ends.close_child()
            shutil.rmtree(directory, ignore_errors=True)
        undo.pop_all()
        return streams


@dataclass(frozen=True, slots=True)
class _Command:
    """One `exec` that is being started.  `directory` holds process.json; `uid` runs it, as its users count, whose first
    is the host's `first_id`."""

    binaries: Binaries
    place: Place
    directory: Path
    ends: _Ends
    uid: int
    first_id: int

    async def with_pipes(self, *, stdin: bool) -> ExecStreams:
        input, its_input = self.ends.pipe(reading=False) if stdin else (-1, _NULL)
        output, its_output = self.ends.pipe(reading=True)
        error, its_error = self.ends.pipe(reading=True)
        self._give(its_input, its_output, its_error)
        child, pid = await self._start((its_input, its_output, its_error), error)
        return ExecStreams(child, pid, {1: output, 2: error}, input, tty=False)

    def _give(self, *pipes: int) -> None:
        """Let a program of other users than the host's reopen its standard streams (/dev/stdout)."""
        if self.first_id:
            for pipe in pipes:
                if pipe >= 0:
                    os.chown(pipe, self.first_id + self.uid, -1)

    async def with_terminal(self) -> ExecStreams:
        error, its_error = self.ends.pipe(reading=True)
        # By descriptor: the directory's path may be longer than a socket's name.
        here = os.open(self.directory, os.O_PATH | os.O_CLOEXEC)
        self.ends.child.append(here)
        path = f"/proc/self/fd/{here}/console"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(path)
            door.listen(1)
            door.setblocking(False)
            child, pid = await self._start((_NULL, its_error, its_error), error, (f"--console-socket={path}",), (here,))
            connection, _ = door.accept()  # the terminal comes before the pid
            with connection:
                terminal = socket.recv_fds(connection, 4096, 1)[1][0]
        self.ends.replace(error, terminal)
        os.set_blocking(terminal, False)
        return ExecStreams(child, pid, {1: terminal}, terminal, tty=True)

    async def _start(
        self,
        stdio: tuple[int, int, int],
        error: int,
        options: tuple[str, ...] = (),
        pass_fds: tuple[int, ...] = (),
    ) -> tuple[Child, int]:
        """(the command, the program's pid).  `error` is our end of its standard error."""
        told = _ToldByPipe() if self.binaries.is_crun else _ToldByDirectory(self.directory)
        argv = [*self.binaries.runtime_argv(self.place.runtime_root), "exec", *options]
        argv += [f"--process={self.directory / 'process.json'}", f"--pid-file={told.path}", self.place.id]
        try:
            child = Child(argv, stdio=stdio, pass_fds=(*told.pass_fds, *pass_fds))
            told.begin()
            self.ends.close_child()
            pid = 0
            try:
                pid = await told.pid(child)
            finally:
                if not pid:
                    child.signal(9)
        finally:
            told.close()
        if not pid:
            raise failure(self.place.id, (await waiting.read_to_end(error)).decode(errors="replace"))
        return child, pid


def _first_id(pid: int) -> int:
    """0 also where it has just ended: the runtime says so."""
    try:
        return idmaps.first_id(pid)
    except OSError:
        return 0


class _ToldByPipe:
    """The pid file is a pipe: crun opens and writes it in place."""

    def __init__(self) -> None:
        self._reader, self._writer = waiting.pipe()
        os.set_blocking(self._reader, False)
        self.path = f"/proc/self/fd/{self._writer}"
        self.pass_fds: tuple[int, ...] = (self._writer,)

    def begin(self) -> None:
        os.close(self._writer)
        self._writer = -1

    async def pid(self, child: Child) -> int:
        said = b""
        while True:
            piece = waiting.read_nowait(self._reader)
            if piece is None:
                await waiting.wait_readable(self._reader)
            elif piece:
                said += piece
                return int(said)
            else:
                await child.wait()
                return 0

    def close(self) -> None:
        waiting.close_all([fd for fd in (self._reader, self._writer) if fd >= 0])


class _ToldByDirectory:
    """The pid file is a name in a watched directory: runc renames it into place."""

    pass_fds: tuple[int, ...] = ()

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "pid")
        self._inotify = inotify.Inotify()
        self._inotify.add(str(directory), inotify.MOVED_TO | inotify.CLOSE_WRITE)

    def begin(self) -> None:
        pass

    async def pid(self, child: Child) -> int:
        waiter = waiting.Waiter()
        child.when_ended(waiter.wake)
        while True:
            with contextlib.suppress(OSError, ValueError):
                return _number(self.path)
            if child.code is not None:
                return 0
            await waiter.readable(self._inotify.fileno())
            self._inotify.read()

    def close(self) -> None:
        self._inotify.close()


def _number(path: str) -> int:
    return int(Path(path).read_text())
