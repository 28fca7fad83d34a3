"""Output of containers, in lines and in pieces."""

import pytest

from coracle.cli.docker.frames import LINE_LIMIT_BYTES, STDERR, STDOUT, is_multiplexed, lines, outputs
from coracle.wire.stdcopy import frame


def test_streams_are_told_apart_however_the_bytes_come():
    whole = frame(1, b"out") + frame(2, b"err\n") + frame(1, b"put\n")
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    assert list(outputs(pieces, multiplexed=True)) == [(STDOUT, b"out"), (STDERR, b"err\n"), (STDOUT, b"put\n")]
    assert list(outputs([b"a", b"b"], multiplexed=False)) == [(STDOUT, b"a"), (STDOUT, b"b")]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([(1, b"a\nb"), (2, b"x\n"), (1, b"c\n")], [(1, b"a"), (2, b"x"), (1, b"bc")]),
        ([(1, b"a\n\nb")], [(1, b"a"), (1, b""), (1, b"b")]),
        ([(1, b"a"), (2, b"b")], [(1, b"a"), (2, b"b")]),
        ([(1, b"a\r\n")], [(1, b"a\r")]),
        ([], []),
    ],
)
def test_lines(found, said):
    assert list(lines(found)) == said


def test_a_line_without_end_is_not_kept():
    piece = b"x" * (LINE_LIMIT_BYTES // 2)
    assert [len(line) for _, line in lines([(1, piece)] * 3)] == [len(piece) * 3]


@pytest.mark.parametrize(
    ("type", "framed"),
    [
        ("application/vnd.docker.multiplexed-stream", True),
        ("application/vnd.docker.raw-stream", False),
        (None, False),
    ],
)
def test_whether_it_is_framed(type, framed):
    assert is_multiplexed(type) is framed
