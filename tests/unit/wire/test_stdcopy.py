import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.wire.stdcopy import Frames, frame, frame_lines


@pytest.mark.parametrize(
    ("stream", "data", "sent"),
    [
        (1, b"hello\n", b"\x01\x00\x00\x00\x00\x00\x00\x06hello\n"),
        (2, b"", b"\x02\x00\x00\x00\x00\x00\x00\x00"),
        (2, b"x" * 65536, b"\x02\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65536),
    ],
)
def test_a_frame_byte_by_byte(stream, data, sent):
    assert frame(stream, data) == sent


@pytest.mark.parametrize(
    ("data", "payloads"),
    [
        (b"", []),
        (b"one\n", [b"one\n"]),
        (b"one\ntwo\r\n\nrest", [b"one\n", b"two\r\n", b"\n", b"rest"]),
    ],
)
def test_a_frame_for_each_line(data, payloads):
    assert list(Frames().feed(frame_lines(2, data))) == [(2, payload) for payload in payloads]


@given(pieces=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50))), cuts=st.lists(st.integers(1, 9)))
def test_frames_come_back_however_they_are_cut(pieces, cuts):
    sent, frames, found = b"".join(frame(*piece) for piece in pieces), Frames(), []
    for cut in [*cuts, len(sent)]:
        found += frames.feed(sent[:cut])
        sent = sent[cut:]
    assert found == pieces
