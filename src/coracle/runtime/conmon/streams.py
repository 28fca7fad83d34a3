"""Our end of the streams of an `exec`: pipes, or a terminal.  And what a monitor is told of terminals and logs.

Nothing is read before somebody asks: what is written waits in the kernel, and then the program does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator
from typing import Literal

from coracle.linux import pidfd
from coracle.runtime.conmon import waiting
from coracle.runtime.conmon.children import Child

Said = tuple[Literal[1, 2], bytes]

RESIZE_TERMINAL, REOPEN_LOG = 1, 2  # messages to its control pipe
_LARGEST_SIZE = 1000  # conmon refuses larger terminals


def resize(bundle_path: str, columns: int, rows: int) -> None:
    """Tell the monitor the size of the terminal."""
    size = (min(max(value, 0), _LARGEST_SIZE) for value in (rows, columns))
    control(f"{bundle_path}/ctl", RESIZE_TERMINAL, *size)


def control(path: str, message: int, *numbers: int) -> None:
    """Tell the monitor, with two numbers (a terminal's rows and columns, or zeros).  Nobody there is no error."""
    with contextlib.suppress(OSError):
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(pipe, f"{message} {numbers[0]} {numbers[1]}\n".encode())
        finally:
            os.close(pipe)


class ExecStreams:
    """An Execution: the runtime's `exec` command as `child`, which ends with its program's code.

    `outputs` are pipes by stream number, or the terminal as 1; `input` a pipe, the same terminal, or -1.
    """

    def __init__(self, child: Child, pid: int, outputs: dict[Literal[1, 2], int], input: int, *, tty: bool) -> None:
        self.pid = pid
        self._child, self._outputs, self._input, self._tty = child, outputs, input, tty
        self._pidfd = pidfd.find(pid)
        if self._pidfd is not None and pidfd.parent(pid) != child.pid:
            os.close(self._pidfd)  # it has ended, and the number is somebody else's by now
            self._pidfd = None
        self._waiter = waiting.Waiter()
        child.when_ended(self._waiter.wake)

    async def wait(self) -> int:
        return await self._child.wait()

    def signal(self, number: int) -> None:
        if self._pidfd is not None:
            pidfd.send(self._pidfd, number)

    async def write(self, data: bytes) -> None:
        if self._input >= 0:
            with contextlib.suppress(BrokenPipeError):
                await waiting.write_all(self._input, data)

    def close_stdin(self) -> None:
        """A terminal has no end of input: whoever sits there types one."""
        if self._input >= 0 and not self._tty:
            os.close(self._input)
            self._input = -1

    def resize(self, columns: int, rows: int) -> None:
        if self._tty:
            resize_terminal(self._outputs[1], columns, rows)

    async def __aiter__(self) -> AsyncIterator[Said]:
        """Ends with the program, even if something it left behind keeps its output open."""
        while self._outputs:
            ended = self._child.code is not None
            said = False
            for stream, fd in tuple(self._outputs.items()):
                piece = waiting.read_nowait(fd)
                if piece:
                    said = True
                    yield stream, piece
                elif piece == b"" and not self._tty:
                    os.close(self._outputs.pop(stream))
                elif piece == b"":
                    ended = True  # nobody has the terminal open any more
            if not said:
                if ended:
                    self.close()
                    return
                await self._waiter.readable(*self._outputs.values())

    def close(self) -> None:
        """Let go.  A terminal hangs up; from pipes the rest is read and thrown away, so that the program can go on."""
        loop = asyncio.get_running_loop()
        self.close_stdin()
        for fd in self._outputs.values():
            if self._tty or self._child.code is not None:
                loop.remove_reader(fd)
                os.close(fd)
            else:
                loop.add_reader(fd, _discard, loop, fd)
        self._outputs = {}
        self._input = -1
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        self._waiter.wake()


def _discard(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    if waiting.read_nowait(fd) == b"":
        loop.remove_reader(fd)
        os.close(fd)


def resize_terminal(fd: int, columns: int, rows: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0))
