"""The channels of exec and attach over SPDY, as older clients open them: a stream for each, named by its headers.

    client -> error, stdin, stdout, stderr, resize      as many as were asked for; each is answered
    stdin, resize  what the client sends, as `wire.channels` has it on a WebSocket; its end is the input's
    stdout, stderr what the program writes
    error          the end, as a Status in JSON

`SpdyChannels` behaves as a WebSocket of v5.channel.k8s.io, so that joining a program is written once.
Source: Kubernetes, `StreamProtocolV4Name`; kubelet's cri/streaming/remotecommand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from coracle.core.errors import Unsupported
from coracle.web.messages import RawStream, Request, Upgrade
from coracle.wire import channels, spdy

PROTOCOL = "v4.channel.k8s.io"
_NAMES = {
    "stdin": channels.STDIN,
    "stdout": channels.STDOUT,
    "stderr": channels.STDERR,
    "error": channels.ERROR,
    "resize": channels.RESIZE,
}


class Channels(Protocol):
    """What exec and attach need of a connection: `web.websocket.WebSocket`, or this."""

    async def receive(self) -> bytes | str | None: ...
    async def send(self, message: bytes) -> None: ...


def answer(request: Request, expected: Iterable[int], run: Callable[[Channels], Awaitable[None]]) -> Upgrade:
    """The answer to a client that will open the `expected` channels.  Raises Unsupported (another protocol)."""
    offered = [one.strip() for one in request.headers.get("x-stream-protocol-version", "").split(",")]
    if PROTOCOL not in offered:
        raise Unsupported(f"unable to upgrade: unable to negotiate protocol: client supports {offered}", status=406)
    wanted = set(expected)

    async def speak(raw: RawStream) -> None:
        socket = SpdyChannels(raw)
        if await socket.wait_open(wanted):
            await run(socket)

    return Upgrade(spdy.PROTOCOL, speak, {"X-Stream-Protocol-Version": PROTOCOL})


class SpdyChannels:
    """Channels over one connection."""

    def __init__(self, raw: RawStream) -> None:
        self._raw, self._connection = raw, spdy.Connection()
        self._streams: dict[int, int] = {}
        self._messages: deque[bytes] = deque()

    async def wait_open(self, expected: set[int]) -> bool:
        """Until the client has opened them all; False where it left before."""
        while not expected <= self._streams.keys():
            if not await self._take():
                return False
        return True

    async def receive(self) -> bytes | None:
        """The next message of the client; None once it is gone."""
        while not self._messages:
            if not await self._take():
                return None
        return self._messages.popleft()

    async def send(self, message: bytes) -> None:
        """Send one; a message on ERROR is the last, and ends every channel.  Raises ConnectionResetError."""
        channel, data = message[0], message[1:]
        if channel in self._streams:
            self._connection.send(self._streams[channel], data, is_last=channel == channels.ERROR)
        if channel == channels.ERROR:
            for other in (channels.STDOUT, channels.STDERR):
                if other in self._streams:
                    self._connection.send(self._streams[other], b"", is_last=True)
        await self._raw.write(self._connection.take())

    async def _take(self) -> bool:
        data = await self._raw.read()
        if not data or self._connection.is_over:
            return False
        try:
            for event in self._connection.feed(data):
                self._handle(event)
        except spdy.ProtocolError:
            return False
        await self._raw.write(self._connection.take())
        return True

    def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened(stream, headers):
                channel = _NAMES.get(headers.get("streamtype", ""))
                if channel is None or channel in self._streams:
                    self._connection.reset(stream, spdy.REFUSED)
                    return
                self._streams[channel] = stream
                self._connection.reply(stream)
            case spdy.Received(stream, data, is_last):
                known = (channel for channel, own in self._streams.items() if own == stream)
                channel = next(known, None)
                if channel in (channels.STDIN, channels.RESIZE) and data:
                    self._messages.append(bytes((channel,)) + data)
                if channel == channels.STDIN and is_last:
                    self._messages.append(bytes((channels.CLOSE, channels.STDIN)))
