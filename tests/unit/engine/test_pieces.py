import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.engine.lines import in_utc, parse_block
from coracle.engine.pieces import Printer

SECOND = 1795424400.0  # 2026-11-23T09:00:00Z


def stored(second, text, stream="stdout", end="F", zone="+00:00"):
    hour = "2026-11-23T09" if zone == "+00:00" else "2026-11-23T11"
    return f"{hour}:00:{second:02d}.123456789{zone} {stream} {end} ".encode() + text + b"\n"


def test_neighbours_of_one_stream_are_one_piece():
    block = stored(1, b"a") + stored(1, b"b") + stored(2, b"c", "stderr") + stored(3, b"d")
    assert Printer().take(block) == [(1, b"a\nb\n"), (2, b"c\n"), (1, b"d\n")]


def test_broken_lines_become_whole_again_and_torn_ones_are_left_out():
    block = stored(1, b"he", end="P") + stored(1, b"llo") + b"torn\n" + stored(2, b"") + stored(3, b"end", end="P")
    assert Printer().take(block) == [(1, b"hello\n\nend")]


def test_what_looks_like_a_head_inside_a_line_stays():
    line = b"2026-11-23T09:00:00.000000000+00:00 stdout F said +00:00 stdout F twice"
    assert Printer().take(stored(1, line)) == [(1, line + b"\n")]
    assert Printer(timestamps=True).take(stored(1, line)) == [(1, b"2026-11-23T09:00:01.123456789Z " + line + b"\n")]


def test_times_and_prefixes_stand_at_the_beginning_of_lines_only():
    printer = Printer(timestamps=True, prefix=b"a=1 ")
    assert printer.take(stored(1, b"x") + stored(2, b"be", end="P")) == [
        (1, b"2026-11-23T09:00:01.123456789Z a=1 x\n2026-11-23T09:00:02.123456789Z a=1 be")
    ]
    assert printer.take(stored(3, b"gun") + stored(4, b"y")) == [(1, b"gun\n2026-11-23T09:00:04.123456789Z a=1 y\n")]


def test_a_prefix_is_text_not_a_pattern():
    assert Printer(prefix=rb"\1\n ").take(stored(1, b"x")) == [(1, rb"\1\n " + b"x\n")]


@pytest.mark.parametrize(
    ("options", "said", "is_over"),
    [
        ({"since_s": SECOND + 2}, b"234", False),
        ({"since_s": SECOND + 2.5}, b"34", False),
        ({"until_s": SECOND + 2.5}, b"12", True),
        ({"until_s": SECOND + 9}, b"1234", False),
        ({"since_s": SECOND + 1.5, "until_s": SECOND + 3.5}, b"23", True),
        ({"since_s": SECOND + 9}, b"", False),
    ],
)
def test_only_what_was_written_between_two_moments(options, said, is_over):
    printer = Printer(**options)
    found = printer.take(b"".join(stored(second, b"%d" % second) for second in (1, 2, 3, 4)))
    assert b"".join(data for _, data in found).replace(b"\n", b"") == said
    assert printer.is_over == is_over


def test_a_monitor_in_another_time_zone_is_understood():
    assert in_utc(b"2026-11-23T11:00:05.123456789+02:00") == "2026-11-23T09:00:05.123456789Z"
    assert in_utc(b"2026-11-22T23:30:05.123456789-09:30") == "2026-11-23T09:00:05.123456789Z"
    block = stored(5, b"x", zone="+02:00")
    assert Printer(timestamps=True).take(block) == [(1, b"2026-11-23T09:00:05.123456789Z x\n")]
    assert Printer(since_s=SECOND + 6).take(block) == []


TEXTS = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b" "))


@given(
    lines=st.lists(st.tuples(TEXTS, st.sampled_from(["stdout", "stderr"]), st.sampled_from("FFP"))),
    timestamps=st.booleans(),
)
def test_the_quick_way_says_what_reading_line_by_line_says(lines, timestamps):
    block = b"".join(stored(1, *line) for line in lines)
    expected, inside = {1: b"", 2: b""}, set()
    for line in parse_block(block):
        stream = 1 if line.stream == "stdout" else 2
        head = f"{line.at} ".encode() if timestamps and stream not in inside else b""
        expected[stream] += head + line.data + (b"" if line.partial else b"\n")
        (inside.add if line.partial else inside.discard)(stream)
    found = {1: b"", 2: b""}
    for stream, data in Printer(timestamps=timestamps).take(block):
        found[stream] += data
    assert found == expected
