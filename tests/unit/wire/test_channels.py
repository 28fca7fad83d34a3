"""kubectl's channels, byte by byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.wire import channels
from coracle.wire.channels import Input, InputEnds, Size


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (b"\x00hello", Input(b"hello")),
        (b"\x00", Input(b"")),
        (b'\x04{"Width":80,"Height":24}', Size(80, 24)),
        (b'\x04{"Width":0,"Height":24}', None),
        (b"\x04nonsense", None),
        (b"\xff\x00", InputEnds()),
        (b"\xff\x01", None),
        (b"\x07x", None),
        (b"", None),
        ("\x00text", Input(b"text")),
    ],
)
def test_read(message, event):
    assert channels.read(message) == event


@given(st.binary(max_size=40))
def test_no_message_breaks_it(message):
    channels.read(message)


def test_the_end():
    assert channels.output(channels.STDERR, b"x") == b"\x02x"
    assert json.loads(channels.ended(0)[1:])["status"] == "Success"
    failed = json.loads(channels.ended(7)[1:])
    assert channels.ended(7)[0] == channels.ERROR
    assert failed["reason"] == "NonZeroExitCode"
    assert failed["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
    assert json.loads(channels.failed("why")[1:])["message"] == "why"


@pytest.mark.parametrize("message", [b"\x00input", b"\x01", b"\x03{}", b"\x04\xff\x00"])
def test_messages_in_text_say_the_same(message):
    text = channels.encoded(message)
    assert text[0].isdigit()
    assert channels.decoded(text) == message


@pytest.mark.parametrize("text", ["", "x", "0%", "0abc", b"\xff"])
def test_text_that_is_no_message_says_nothing(text):
    assert channels.read(channels.decoded(text)) is None
