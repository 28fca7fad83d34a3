import asyncio
import zlib
from collections import deque

import pytest

from coracle.core.errors import Unsupported
from coracle.kube.api.spdychannels import SpdyChannels, answer
from coracle.web.messages import Request
from coracle.wire import channels
from coracle.wire.spdy import DICTIONARY, Connection


class Client:
    """The other end: what it will send, and what it was sent."""

    def __init__(self):
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self.sends, self.sent = deque(), b""

    def opens(self, stream, sort):
        words = len("streamtype").to_bytes(4, "big") + b"streamtype" + len(sort).to_bytes(4, "big") + sort.encode()
        block = self._deflate.compress((1).to_bytes(4, "big") + words) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = stream.to_bytes(4, "big") + bytes(6) + block
        self.sends.append(b"\x80\3\0\1\0" + len(payload).to_bytes(3, "big") + payload)

    def says(self, stream, data, *, fin=False):
        self.sends.append(stream.to_bytes(4, "big") + bytes((int(fin),)) + len(data).to_bytes(3, "big") + data)

    async def read(self, limit_bytes=65536):
        return self.sends.popleft() if self.sends else b""

    async def write(self, data):
        self.sent += data


def heard(client):
    """The client's data frames: (stream, data, fin)."""
    found, rest = [], client.sent
    while rest:
        size = int.from_bytes(rest[5:8], "big")
        if not rest[0] & 0x80:
            found.append((int.from_bytes(rest[:4], "big"), rest[8 : 8 + size], bool(rest[4])))
        rest = rest[8 + size :]
    return found


def test_streams_become_channels():
    client = Client()
    for stream, sort in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "resize")):
        client.opens(stream, sort)
    client.says(3, b"hello")
    client.says(7, b'{"Width":80,"Height":24}')
    client.says(3, b"", fin=True)

    async def main():
        socket = SpdyChannels(client)
        assert await socket.wait_open({channels.ERROR, channels.STDIN, channels.STDOUT})
        received = [await socket.receive() for _ in range(4)]
        await socket.send(channels.output(channels.STDOUT, b"out"))
        await socket.send(channels.output(channels.STDERR, b"nobody asked"))
        await socket.send(channels.ended(0))
        return received

    received = asyncio.run(main())
    assert [channels.read(one) for one in received[:3]] == [
        channels.Input(b"hello"),
        channels.Size(80, 24),
        channels.InputEnds(),
    ]
    assert received[3] is None
    assert heard(client) == [(5, b"out", False), (1, channels.ended(0)[1:], True), (5, b"", True)]


def test_a_client_that_leaves_before_it_has_begun():
    client = Client()
    client.opens(1, "error")
    client.opens(3, "nonsense")

    async def main():
        return await SpdyChannels(client).wait_open({channels.ERROR, channels.STDOUT})

    assert asyncio.run(main()) is False
    refused = Connection()
    refused.reset(3, 3)
    assert refused.take() in client.sent


def test_another_protocol_is_refused():
    with pytest.raises(Unsupported):
        answer(Request("POST", "/", {"x-stream-protocol-version": "v1.elsewhere"}), {1}, None)
