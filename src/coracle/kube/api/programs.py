"""Joining a client to a program in a pod: exec and attach, over a WebSocket or over SPDY."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from coracle.core.errors import CloudError, Malformed
from coracle.kube.api import spdychannels
from coracle.kube.api.requests import is_true
from coracle.kube.api.spdychannels import Channels
from coracle.runtime.api import Streams
from coracle.web.messages import Request, Upgrade
from coracle.web.websocket import WebSocket, accept
from coracle.wire import channels, spdy


@runtime_checkable
class _Ends(Protocol):
    """What knows how it ended: an Execution, not an attachment."""

    async def wait(self) -> int: ...


class _Detached(Exception):
    """The client's input has ended, and with it what it came for."""


class Wish:
    """Which streams a client wants to be joined to."""

    def __init__(self, request: Request) -> None:
        query = request.query
        self.stdin, self.tty = is_true(query.get("stdin")), is_true(query.get("tty"))
        self.outputs = {channel for channel, name in ((1, "stdout"), (2, "stderr")) if is_true(query.get(name))}

    def check(self) -> None:
        """Raises Malformed."""
        if not self.stdin and not self.outputs:
            raise Malformed("you must specify at least one of stdin, stdout, stderr")
        if self.tty and 2 in self.outputs:
            raise Malformed("tty and stderr cannot both be true")

    @property
    def channels(self) -> set[int]:
        """Those that a client opens for it."""
        more = {channels.STDIN} if self.stdin else set[int]()
        return {channels.ERROR, *self.outputs, *more}


def answer(
    request: Request, wish: Wish, begin: Callable[[], Awaitable[Streams]], failed: str, *, detaches: bool = False
) -> Upgrade:
    """The answer that joins the client to the program that `begin` gives; `failed` is said before why it cannot.

    `detaches`: the end of the client's input is not handed on, it lets go of the program.
    Raises: Malformed, Unsupported (another protocol).
    """

    async def run(socket: Channels) -> None:
        try:
            program = await begin()
        except CloudError as error:
            await socket.send(channels.failed(f"Internal error occurred: {failed}: {error}"))
            return
        await _join(socket, program, wish, detaches)

    async def speak(socket: WebSocket) -> None:
        spoken: Channels = _Text(socket) if channels.in_text(socket.subprotocol) else socket
        await run(_Plain(spoken) if socket.subprotocol in channels.PLAIN else spoken)

    if request.upgrade == spdy.PROTOCOL.lower():
        return spdychannels.answer(request, wish.channels, run)
    if request.upgrade != "websocket":
        raise Malformed("unable to upgrade: missing upgrade headers in request")
    return accept(request, channels.PROTOCOLS, speak)


class _Text:
    """A WebSocket of messages in base64."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> bytes | str | None:
        message = await self._socket.receive()
        return None if message is None else channels.decoded(message)

    async def send(self, message: bytes) -> None:
        await self._socket.send(channels.encoded(message))


class _Plain:
    """One whose client knows no Status."""

    def __init__(self, socket: Channels) -> None:
        self._socket, self.receive = socket, socket.receive

    async def send(self, message: bytes) -> None:
        said = channels.in_words(message) if message[0] == channels.ERROR else message
        if said is not None:
            await self._socket.send(said)


async def _join(socket: Channels, program: Streams, wish: Wish, detaches: bool) -> None:
    """Carry bytes both ways until the program has said all, or the client is gone."""
    try:
        async with asyncio.TaskGroup() as group:
            inward = group.create_task(_inward(socket, program, wish, detaches), name="exec-in")
            group.create_task(_outward(socket, program, wish, inward), name="exec-out")
    except* ConnectionError:
        pass  # the client is gone; what it started goes on without it
    except* _Detached:
        await socket.send(channels.ended(0))
    finally:
        program.close()


async def _outward(socket: Channels, program: Streams, wish: Wish, inward: asyncio.Task[None]) -> None:
    async for channel, data in program:
        if channel in wish.outputs:
            await socket.send(channels.output(channel, data))
    code = await program.wait() if isinstance(program, _Ends) else 0
    await socket.send(channels.ended(code))
    inward.cancel()


async def _inward(socket: Channels, program: Streams, wish: Wish, detaches: bool) -> None:
    """What the client sends; a program that no longer reads is no failure."""
    while (message := await socket.receive()) is not None:
        event = channels.read(message)
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            match event:
                case channels.Input() if wish.stdin:
                    await program.write(event.data)
                case channels.InputEnds() if wish.stdin and detaches:
                    raise _Detached
                case channels.InputEnds() if wish.stdin:
                    program.close_stdin()
                case channels.Size() if wish.tty:
                    program.resize(event.columns, event.rows)
    raise ConnectionResetError("the client has closed the connection")
