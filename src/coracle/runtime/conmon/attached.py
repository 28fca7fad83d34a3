"""Our end of a container's own streams: its monitor's attach socket.

Nothing is read before somebody asks: what is written waits in the kernel, then the monitor does, then the program.  A
monitor that waits does not notice that its program has ended, so from then on everything is taken off its hands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import AsyncIterator
from typing import Literal

from coracle.linux import inotify, pidfd
from coracle.runtime.conmon import streams, waiting
from coracle.runtime.conmon.streams import Said

log = logging.getLogger(__name__)

# conmon's own numbers in front of each packet, and the longest packet it takes.
_CONMON_STREAMS: dict[int, Literal[1, 2]] = {2: 1, 3: 2}
_PACKET_BYTES = 8192
_NOTICE_PATIENCE_S = 2.0
_LATE_BYTES = 4 * 1024 * 1024  # far more than pipes and sockets hold; what comes after that is thrown away


class Attached:
    """Streams of a container's first program, `pid`, through its monitor.

    A packet of the socket is one stream's number and bytes; what we send is its input; a half-closed socket ends that
    input where the container was made with `stdin_once`.
    """

    def __init__(self, connected: socket.socket, bundle_path: str, pid: int) -> None:
        self._socket, self._bundle_path = connected, bundle_path
        self._waiter = waiting.Waiter()
        self._late: deque[bytes] | None = None  # packets taken since the program has ended; b"" is the end
        self._late_bytes = 0
        self._program = pidfd.find(pid)
        if self._program is None:
            self._hurry()
        else:
            asyncio.get_running_loop().add_reader(self._program, self._hurry)

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), _PACKET_BYTES):
            await self._send(data[start : start + _PACKET_BYTES])

    def close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def resize(self, columns: int, rows: int) -> None:
        streams.resize(self._bundle_path, columns, rows)

    async def __aiter__(self) -> AsyncIterator[Said]:
        while self._socket.fileno() >= 0 or self._late:
            packet = self._late.popleft() if self._late else self._receive()
            if packet is None:
                await self._wait()
            elif not packet:
                return
            else:
                yield _CONMON_STREAMS.get(packet[0], 1), packet[1:]

    def close(self) -> None:
        """Our side of the socket; conmon keeps or ends the input as `stdin_once` says."""
        self._late = deque()
        self._forget_program()
        self._waiter.wake()
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def _receive(self) -> bytes | None:
        """A packet; None where none has come, b"" at the end."""
        for _ in range(2):
            try:
                return self._socket.recv(waiting.PIECE_BYTES)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                continue  # it went without reading all that we sent: what it said is still to come, the error is not
            except OSError:
                break
        return b""

    async def _wait(self) -> None:
        if self._late is None:
            await self._waiter.readable(self._socket.fileno())
            if self._late is not None:
                self._listen()  # to wait for the socket has taken our listener off it
        elif not self._late:
            await self._waiter.readable()

    def _hurry(self) -> None:
        """The program has ended."""
        self._forget_program()
        self._late = deque()
        self._waiter.wake()
        self._take()
        self._listen()

    def _listen(self) -> None:
        if not (self._late and not self._late[-1]) and self._socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._take)

    def _take(self) -> None:
        while self._late is not None and (packet := self._receive()) is not None:
            if packet and self._late_bytes > _LATE_BYTES:
                continue
            self._late.append(packet)
            self._late_bytes += len(packet)
            if not packet:
                asyncio.get_running_loop().remove_reader(self._socket.fileno())
                break
        self._waiter.wake()

    def _forget_program(self) -> None:
        if self._program is not None:
            asyncio.get_running_loop().remove_reader(self._program)
            os.close(self._program)
            self._program = None

    async def _send(self, packet: bytes) -> None:
        while True:
            try:
                self._socket.send(packet)
                return
            except BlockingIOError:
                await waiting.wait_writable(self._socket.fileno())


def connect(bundle_path: str, pid: int) -> Attached:
    """Attach through the monitor's socket, which may lie deeper than a socket's name is long.  Raises OSError."""
    directory = os.open(bundle_path, os.O_PATH | os.O_CLOEXEC)
    try:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connected.connect(f"/proc/self/fd/{directory}/attach")
        except OSError:
            connected.close()
            raise
        connected.setblocking(False)
        return Attached(connected, bundle_path, pid)
    finally:
        os.close(directory)


async def noticed(bundle_path: str) -> None:
    """Until the monitor has accepted who connected so far: one that did not is not told what is written.

    It looks for the end of its program between accepting and reading output, so that of a program that is quick it
    would accept nobody.  But it accepts before it reads its control pipe, where an empty line means nothing; that it
    has read is an event of the pipe's file.  A monitor that does not come to it in two seconds is waited for no more.

    Source: conmon 2.1.6, src/conmon.c, `check_child_processes_cb`; src/ctrl.c, `read_from_ctrl_buffer`.
    """
    watch = inotify.Inotify()
    try:
        watch.add(f"{bundle_path}/ctl", inotify.ACCESS)
        pipe = os.open(f"{bundle_path}/ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(pipe, b"\n")
        finally:
            os.close(pipe)
        async with asyncio.timeout(_NOTICE_PATIENCE_S):
            await waiting.wait_readable(watch.fileno())
    except OSError as error:  # TimeoutError, or it has ended
        log.debug("the monitor in %s does not notice who attaches: %s", bundle_path, error)
    finally:
        watch.close()
