"""Our input and output joined to a connection that was taken over: a terminal to a terminal, or pipes.

Nothing is read faster than it can be passed on, so that neither side can fill our memory or stop the other.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from coracle.cli.docker.client import Hijacked
from coracle.cli.docker.frames import PIECE_BYTES, STDERR, STDOUT
from coracle.docker.streams.detachkeys import DetachKeys
from coracle.wire.stdcopy import Frames

Signals = Mapping[int, Callable[[], None]]
FORWARDED: tuple[int, ...] = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT")
)
WINDOW: int = signal.SIGWINCH
_FD = {STDOUT: 1, STDERR: 2}


def is_terminal(*fds: int) -> bool:
    return all(os.isatty(fd) for fd in fds)


def size() -> tuple[int, int]:
    """(rows, columns) of our terminal; (0, 0) where there is none."""
    for fd in (1, 0, 2):
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(fd)
            return rows, columns
    return 0, 0


def converse(
    connection: Hijacked, *, stdin: bool, raw: bool, on_signal: Signals | None = None, keys: bytes = b""
) -> bool:
    """Pass input and output on until the other side ends; whether it was left before, by typing `keys`.

    `raw`: our terminal leaves every key to the other side meanwhile.  `on_signal`: what to do at which signal, called
    between two pieces; others act as ever.
    """
    sys.stdout.flush()
    with _signals(on_signal or {}) as signals, _raw_mode() if raw else contextlib.nullcontext():
        detaching = DetachKeys(keys) if raw and keys else None
        return _Conversation(connection, signals, on_signal or {}, detaching, stdin=stdin).run()


class _Conversation:
    def __init__(
        self, connection: Hijacked, signals: int, on_signal: Signals, detaching: DetachKeys | None, *, stdin: bool
    ) -> None:
        self._connection, self._signals, self._on_signal = connection, signals, on_signal
        self._detaching, self._left = detaching, False
        self._socket, self._frames = connection.socket, Frames()
        self._listening = stdin
        self._unsent = b""
        self._socket.setblocking(False)

    def run(self) -> bool:
        while not self._left:
            readers: list[int | socket.socket] = [self._socket, self._signals]
            if self._listening and not self._unsent:
                readers.append(0)
            ready, writable, _ = select.select(readers, [self._socket] if self._unsent else [], [])
            if self._signals in ready:
                self._take_signals()
            if 0 in ready:
                self._hear()
            if writable:
                self._send()
            if self._socket in ready and not self._say():
                break
        return self._left

    def _take_signals(self) -> None:
        for number in os.read(self._signals, 64):
            self._on_signal[number]()

    def _hear(self) -> None:
        """Our input; at its end the other side is told so."""
        try:
            self._unsent = os.read(0, PIECE_BYTES)
        except OSError:
            self._unsent = b""
        if not self._unsent:
            self._listening = False
            with contextlib.suppress(OSError):
                self._connection.end_input()
        elif self._detaching:
            self._unsent, self._left = self._detaching.feed(self._unsent)

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent, self._listening = b"", False  # it listens no more; what it says may go on

    def _say(self) -> bool:
        """What the other side says; False at its end."""
        try:
            data = self._socket.recv(PIECE_BYTES)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        if not self._connection.multiplexed:
            _write(1, data)
            return bool(data)
        for stream, payload in self._frames.feed(data):
            _write(_FD.get(stream, 2), payload)
        return bool(data)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@contextlib.contextmanager
def _raw_mode() -> Iterator[None]:
    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)  # what was typed already is kept
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _signals(wanted: Signals) -> Iterator[int]:
    """A descriptor from which the numbers of the `wanted` signals are read, a byte each."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def note(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(writer, bytes([number]))

    before = {number: signal.signal(number, note) for number in wanted}
    try:
        yield reader
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
