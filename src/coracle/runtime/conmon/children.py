"""Child processes by vfork, each waited for through its pidfd.

Not asyncio's own: its watcher of Python 3.11 needs a thread for each child, and its streams cost more than the child.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.errors import Broken
from coracle.linux import pidfd
from coracle.runtime.conmon import waiting

UNKNOWN_CODE = 255
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it wrote."""

    code: int
    output: bytes
    error: bytes


class Watched:
    """A process whose end we are told.  If it is our child it is reaped at once, whether or not somebody waits."""

    def __init__(self, pid: int, fd: int) -> None:
        """`fd` is a pidfd of it, ours from now on."""
        self.pid, self._fd = pid, fd
        self.code: int | None = None
        self._ended = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._end)

    @property
    def alive(self) -> bool:
        """As far as we have been told."""
        return self.code is None

    async def wait(self) -> int:
        """Its exit code, 128 + n for signal n; 255 where it was not our child."""
        await self._ended.wait()
        return self.code or 0

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call once it has ended; at once where it has."""
        if self.code is not None:
            call()
        else:
            self._listeners.append(call)

    def signal(self, number: int) -> None:
        if self.code is None:
            pidfd.send(self._fd, number)

    def forget(self) -> None:
        """Stop watching: it goes on without us."""
        if self.code is None and self._fd >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _end(self) -> None:
        code = pidfd.reap(self._fd)
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        self.code = UNKNOWN_CODE if code is None else code
        self._ended.set()
        for call in self._listeners:
            call()


def find(pid: int, argument: str) -> Watched | None:
    """The living process `pid`, if it is the one that was started with `argument`: numbers are used again."""
    fd = pidfd.find(pid) if pid > 0 else None
    if fd is None:
        return None
    if argument not in pidfd.arguments(pid):  # after opening: what we hold is what we look at, or has ended
        os.close(fd)
        return None
    return Watched(pid, fd)


class Child(Watched):
    """A process that we start."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdio: tuple[int, int, int] = (subprocess.DEVNULL, subprocess.DEVNULL, subprocess.DEVNULL),
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        """Raises Broken (no such program, no more processes)."""
        # TZ: conmon writes local time into logs.
        full_env = {"PATH": _PATH, "TZ": "UTC0", **(env or {})}
        try:
            process = subprocess.Popen(
                argv, stdin=stdio[0], stdout=stdio[1], stderr=stdio[2], pass_fds=pass_fds, env=full_env, cwd=cwd
            )
        except OSError as error:
            raise Broken(f"cannot run {argv[0]}: {error.strerror}") from error
        process.returncode = 0  # Popen is not to wait for it: we do
        super().__init__(process.pid, os.pidfd_open(process.pid))  # our child, not reaped yet: it is there


async def run(argv: Sequence[str], *, pass_fds: Sequence[int] = ()) -> Finished:
    """Run a command that says little, to its end.  Cancelling kills it."""
    output_r, output_w = waiting.pipe()
    error_r, error_w = waiting.pipe()
    try:
        os.set_blocking(output_r, False)
        os.set_blocking(error_r, False)
        try:
            child = Child(argv, stdio=(subprocess.DEVNULL, output_w, error_w), pass_fds=pass_fds)
        finally:
            waiting.close_all((output_w, error_w))
        try:
            output = await waiting.read_to_end(output_r)
            error = await waiting.read_to_end(error_r)
            return Finished(await child.wait(), output, error)
        finally:
            child.signal(9)
    finally:
        waiting.close_all((output_r, error_r))
