"""Durations as Go writes them."""

import pytest

from coracle.core.durations import duration_text, nanoseconds


@pytest.mark.parametrize(
    ("given", "said"),
    [("1m30s", "1m30s"), ("60s", "1m0s"), ("1h", "1h0m0s"), ("1.5s", "1.5s"), ("500ms", "500ms"), ("0", "0s"), ("90m", "1h30m0s"),
     ("1us", "1µs"), ("1µs", "1µs"), ("1μs", "1µs"), ("-5s", "-5s"), ("+5s", "5s"), ("100ns", "100ns"), (".5s", "500ms"),
     ("1.s", "1s"), ("1h2m3.5s", "1h2m3.5s"), ("0.000000001s", "1ns")],
)  # fmt: skip
def test_durations(given, said):
    assert duration_text(nanoseconds(given)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [("", 'time: invalid duration ""'), ("-", 'time: invalid duration "-"'), (".s", 'time: invalid duration ".s"'),
     ("abc", 'time: invalid duration "abc"'), ("--1h", 'time: invalid duration "--1h"'), ("٣s", 'time: invalid duration "٣s"'),
     ("9999999999h", 'time: invalid duration "9999999999h"'), ("9" * 5000 + "s", f'time: invalid duration "{"9" * 100}"'),
     ("5", 'time: missing unit in duration "5"'), ("1m5", 'time: missing unit in duration "1m5"'),
     ("5x", 'time: unknown unit "x" in duration "5x"'), ("1d", 'time: unknown unit "d" in duration "1d"'),
     ("1h 30m", 'time: unknown unit "h " in duration "1h 30m"')],
)  # fmt: skip
def test_what_is_no_duration(text, said):
    with pytest.raises(ValueError) as told:
        nanoseconds(text)
    assert str(told.value) == said
