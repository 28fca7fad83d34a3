import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.web.render import GROUP_BYTES, Stamp, chunk, groups, plain, render_headers, status_line


class StoppedClock:
    def __init__(self, at_s):
        self.at_s = at_s

    def now_s(self):
        return self.at_s


def test_the_date_follows_the_clock():
    clock = StoppedClock(0.0)
    stamp = Stamp(clock)
    assert stamp.line() == b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    clock.at_s = 1.5
    assert stamp.line() == b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n"


@pytest.mark.parametrize(
    ("status", "type", "expected"),
    [
        (200, "application/json", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"),
        (204, "application/json", b"HTTP/1.1 204 No Content\r\n"),
        (101, "", b"HTTP/1.1 101 UPGRADED\r\n"),
        (799, "", b"HTTP/1.1 799 Status\r\n"),
    ],
)
def test_status_line(status, type, expected):
    assert status_line(status, type) == expected


@pytest.mark.parametrize(
    "headers", [{"A": "b\r\nC: d"}, {"A\n": "b"}, {"A": "b\0"}, {"A: b\r\nC": "d"}, {"A:": ""}, {"": ""}]
)
def test_a_header_cannot_split_the_answer(headers):
    with pytest.raises(ValueError):
        render_headers(headers)


def test_a_content_type_cannot_split_the_answer():
    with pytest.raises(ValueError):
        status_line(200, "a/b\r\nSet-Cookie: x")


def test_a_chunk_has_its_size_in_hexadecimal():
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_a_refusal_is_whole_and_closes():
    assert plain(431, "too large").endswith(
        b"Content-Length: 46\r\nConnection: close\r\n\r\n431 Request Header Fields Too Large: too large"
    )


@given(st.lists(st.integers(0, 3 * GROUP_BYTES), max_size=6))
def test_groups_are_the_body_in_pieces_of_bounded_size(sizes):
    parts = [bytes([index % 250]) * size for index, size in enumerate(sizes)]
    made = [bytes(group) for group in groups(parts)]
    assert b"".join(made) == b"".join(parts)
    assert max(map(len, made), default=0) <= GROUP_BYTES
