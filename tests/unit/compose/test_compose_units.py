"""Durations and sizes."""

import pytest

from coracle.compose.units import duration_text, nanoseconds, size_bytes


@pytest.mark.parametrize(
    ("given", "said"),
    [("1m30s", "1m30s"), ("60s", "1m0s"), ("1h", "1h0m0s"), ("1.5s", "1.5s"), ("500ms", "500ms"), ("0", "0s"), ("90m", "1h30m0s"),
     ("1us", "1µs"), ("-5s", "-5s"), ("1d", "24h0m0s"), ("100ns", "100ns")],
)  # fmt: skip
def test_durations(given, said):
    assert duration_text(nanoseconds(given)) == said


@pytest.mark.parametrize("text", ["", "5", "5x", "s", "1m5", "abc", "9" * 30 + "h"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match=r"^time: "):
        nanoseconds(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("300", 300), ("64m", 64 << 20), ("1gb", 1 << 30), ("1.5GiB", 3 << 29), ("2 k", 2048), ("-1", -1), ("7b", 7)],
)
def test_sizes(text, count):
    assert size_bytes(text) == count


@pytest.mark.parametrize("text", ["", "x", "5x", "5ib", "1e3", "5mm"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match=r"^invalid (size|suffix)"):
        size_bytes(text)
