import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.errors import Malformed
from coracle.docker.streams.detachkeys import DetachKeys, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("ctrl-A,x", b"\x01x"),
        ("-", b"-"),
    ],
)
def test_keys_by_name(text, keys):
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", ",", "a,", "é", "ctrl-ab", "strg-p"])
def test_what_names_no_key_is_refused(text):
    with pytest.raises(Malformed, match="detach keys"):
        parse_keys(text)


@pytest.mark.parametrize(
    ("pieces", "passed", "is_over"),
    [
        ([b"ls\n"], b"ls\n", False),
        ([b"ab\x10\x11cd"], b"ab", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10", b"\x10", b"\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_what_the_program_gets(pieces, passed, is_over):
    keys = DetachKeys(b"\x10\x11")
    results = [keys.feed(piece) for piece in pieces]
    assert b"".join(data for data, _ in results) == passed
    assert results[-1][1] == is_over


@given(st.lists(st.binary(max_size=6).map(lambda data: bytes(byte % 3 for byte in data))))
def test_the_keys_are_found_however_they_are_cut(pieces):
    whole, keys, passed = b"".join(pieces), DetachKeys(b"\x01\x01\x02"), b""
    for piece in pieces:
        data, is_over = keys.feed(piece)
        passed += data
        if is_over:
            assert passed == whole[: whole.find(b"\x01\x01\x02")]
            return
    assert b"\x01\x01\x02" not in whole
    assert whole.startswith(passed)
    assert len(whole) - len(passed) <= 2
