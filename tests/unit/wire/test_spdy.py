import zlib

import pytest

from coracle.wire.spdy import DICTIONARY, Cancelled, Connection, Opened, ProtocolError, Received


class Client:
    """Makes frames as kubectl does."""

    def __init__(self):
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def block(self, headers):
        words = [text for pair in headers.items() for text in pair]
        plain = len(headers).to_bytes(4, "big") + b"".join(len(w).to_bytes(4, "big") + w.encode() for w in words)
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def open(self, stream, headers, *, fin=False):
        return control(1, stream.to_bytes(4, "big") + bytes(6) + self.block(headers), flags=int(fin))


def control(kind, payload, *, flags=0, version=3):
    return bytes((0x80, version, 0, kind, flags)) + len(payload).to_bytes(3, "big") + payload


def data(stream, payload, *, fin=False):
    return stream.to_bytes(4, "big") + bytes((int(fin),)) + len(payload).to_bytes(3, "big") + payload


HEADERS = {"streamtype": "data", "port": "80", "requestid": "0"}


def test_the_dictionary_is_the_one_that_everybody_has():
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_streams_open_speak_and_end_however_their_bytes_arrive():
    client = Client()
    said = (
        client.open(1, HEADERS) + data(1, b"hello") + client.open(3, {"Port": "81"}, fin=True) + data(1, b"", fin=True)
    )
    said += control(3, (1).to_bytes(4, "big") + (5).to_bytes(4, "big"))
    connection = Connection()
    events = [event for byte in said for event in connection.feed(bytes((byte,)))]
    assert events == [
        Opened(1, HEADERS),
        Received(1, b"hello", is_last=False),
        Opened(3, {"port": "81"}),
        Received(3, b"", is_last=True),
        Received(1, b"", is_last=True),
        Cancelled(1),
    ]


def test_what_the_server_says():
    connection = Connection()
    connection.reply(1)
    reply = connection.take()
    assert reply[:5] == bytes((0x80, 3, 0, 2, 0))
    assert zlib.decompressobj(zdict=DICTIONARY).decompress(reply[12:]) == bytes(4)
    connection.send(1, b"x" * 40_000, is_last=True)
    assert connection.take() == data(1, b"x" * 32_768) + data(1, b"x" * 7_232, fin=True)
    connection.reset(3)
    assert connection.take() == control(3, (3).to_bytes(4, "big") + (5).to_bytes(4, "big"))
    assert connection.take() == b""


def test_pings_are_answered_and_a_farewell_heard():
    connection = Connection()
    connection.feed(control(6, (7).to_bytes(4, "big")) + control(6, (8).to_bytes(4, "big")))
    assert connection.take() == control(6, (7).to_bytes(4, "big"))
    connection.feed(control(7, bytes(8)))
    assert connection.is_over


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(control(1, bytes(9)), id="a stream without a head"),
        pytest.param(control(1, bytes(10) + b"nonsense"), id="headers that are not compressed"),
        pytest.param(control(6, bytes(4), version=2), id="another version"),
        pytest.param(b"\x80\3\0\1\0\xff\xff\xff", id="too large a frame"),
        pytest.param(Client().open(1, {"x": "y" * 20_000}), id="too large headers"),
    ],
)
def test_a_peer_that_breaks_the_protocol(said):
    with pytest.raises(ProtocolError):
        Connection().feed(said)
