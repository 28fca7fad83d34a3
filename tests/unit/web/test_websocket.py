import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from coracle.core.errors import Malformed, Unsupported
from coracle.testing.autojump import run
from coracle.web.frames import Frames
from coracle.web.messages import Request
from coracle.web.websocket import WebSocket, accept, choose_subprotocol

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.2, as is the answer to it


def a_handshake(**changes):
    headers = {"sec-websocket-key": KEY, "sec-websocket-version": "13"}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    request = Request("GET", "/", {name: value for name, value in headers.items() if value})
    request.upgrade = "websocket"
    return request


async def nothing(socket):
    pass


def test_the_handshake_is_the_rfcs():
    answer = accept(a_handshake(), (), nothing)
    assert (answer.status, answer.protocol) == (101, "websocket")
    assert answer.headers == {"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}


def test_the_subprotocol_is_ours_in_our_order():
    answer = accept(
        a_handshake(sec_websocket_protocol="v4.channel.k8s.io, v5.channel.k8s.io"), ("v5.channel.k8s.io",), nothing
    )
    assert answer.headers["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io"
    assert choose_subprotocol("a, b", ("b", "a")) == "b"
    assert choose_subprotocol("", ("b",)) == ""
    with pytest.raises(Unsupported):
        choose_subprotocol("c", ("a", "b"))


@pytest.mark.parametrize("key", ["", "short", "!" * 24, "dGhlIHNhbXBsZSBub25jZQ"])
def test_a_bad_key_is_malformed(key):
    with pytest.raises(Malformed):
        accept(a_handshake(sec_websocket_key=key), (), nothing)


def test_what_is_no_handshake_is_refused():
    with pytest.raises(Malformed):
        accept(Request("GET", "/"), (), nothing)
    with pytest.raises(Unsupported):
        accept(a_handshake(sec_websocket_version="8"), (), nothing)


class Wire:
    """A RawStream whose peer is a wsproto client: give it events to send, read what it got."""

    def __init__(self, limit=1_000_000):
        self.client = Frames(10_000_000, ConnectionType.CLIENT)
        self.sent, self.input = b"", []
        self.socket = WebSocket(self, Frames(limit), "")

    def say(self, *events, step=None):
        data = b"".join(self.client._wire.send(event) for event in events)
        self.input += [data[at : at + (step or len(data))] for at in range(0, len(data), step or len(data))]

    async def read(self, limit_bytes=65536):
        return self.input.pop(0) if self.input else b""

    async def write(self, data):
        self.sent += data

    def got(self):
        """What the client understands of what was sent."""
        self.client._wire.receive_data(self.sent)
        return list(self.client._wire.events())


async def everything(socket):
    return [message async for message in iterate(socket)]


async def iterate(socket):
    while (message := await socket.receive()) is not None:
        yield message


@given(st.lists(st.binary(max_size=300) | st.text(max_size=100), max_size=6), st.integers(1, 50))
def test_messages_arrive_whole_however_they_are_cut(messages, step):
    wire = Wire()
    for message in messages:
        wire.say(TextMessage(message) if isinstance(message, str) else BytesMessage(message), step=step)
    assert run(everything(wire.socket)) == messages


def test_fragments_are_joined_and_pings_answered_in_between():
    wire = Wire()
    wire.say(BytesMessage(b"ab", message_finished=False), Ping(b"?"), BytesMessage(b"cd"), TextMessage("x"))
    assert run(everything(wire.socket)) == [b"abcd", "x"]
    assert wire.got() == [Pong(b"?")]


@pytest.mark.parametrize("fragments", [[101], [60, 41], [1] * 101])
def test_a_message_too_large_is_refused(fragments):
    wire = Wire(limit=100)
    *first, last = fragments
    wire.say(*(BytesMessage(bytes(size), message_finished=False) for size in first), BytesMessage(bytes(last)))
    assert run(everything(wire.socket)) == []
    assert wire.got()[-1].code == 1009


def test_a_frame_that_claims_to_be_huge_is_refused_when_it_passes_the_limit():
    wire = Wire(limit=100)
    wire.input = [b"\x82\xff" + (2**40).to_bytes(8, "big") + b"mask", *[b"x" * 60] * 5]
    assert run(everything(wire.socket)) == []
    assert wire.got()[-1].code == 1009
    assert len(wire.input) == 3


def test_the_peers_close_is_answered_with_its_code():
    wire = Wire()
    wire.say(BytesMessage(b"last"), CloseConnection(4000, "bye"))
    assert run(everything(wire.socket)) == [b"last"]
    assert wire.got()[-1].code == 4000

    async def late():
        await wire.socket.close()
        with pytest.raises(ConnectionResetError):
            await wire.socket.send(b"x")

    run(late())


def test_we_close_once_and_hear_out_the_peer():
    wire = Wire()

    async def main():
        await wire.socket.send(b"hello")
        await wire.socket.close(1001, "going")
        await wire.socket.close()
        wire.say(BytesMessage(b"still"), CloseConnection(1001))
        return await everything(wire.socket)

    assert run(main()) == [b"still"]
    message, close = wire.got()
    assert (bytes(message.data), close.code, close.reason) == (b"hello", 1001, "going")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\xff" * 20, 1002, id="reserved bits"),
        pytest.param(b"\x82\x01a", 1002, id="not masked"),
        pytest.param(b"\x80\x80mask", 1002, id="continues nothing"),
        pytest.param(b"\x81\x82\x00\x00\x00\x00\xff\xff", 1007, id="not UTF-8"),
    ],
)
def test_broken_frames_close_with_the_right_code(data, code):
    wire = Wire()
    wire.input = [data]
    assert run(everything(wire.socket)) == []
    assert wire.got()[-1].code == code


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_input_is_survived(pieces):
    wire = Wire()
    wire.input = [piece for piece in pieces if piece]
    run(everything(wire.socket))


def test_a_run_that_returns_closes():
    wire = Wire()
    answer = accept(a_handshake(), (), nothing)
    run(answer.run(wire))
    assert wire.got()[-1].code == 1000


def test_many_messages_in_one_read_are_all_there():
    wire = Wire()
    bodies = [os.urandom(10) for _ in range(50)]
    wire.say(*map(BytesMessage, bodies))

    async def main():
        found = []
        for _ in bodies:
            async with asyncio.timeout(1):
                found.append(await wire.socket.receive())
        return found

    assert run(main()) == bodies
