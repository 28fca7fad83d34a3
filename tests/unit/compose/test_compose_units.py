"""Durations and sizes."""

import pytest

from coracle.compose.units import nanoseconds, size_bytes


@pytest.mark.parametrize(("text", "length_s"), [("1m30s", 90), ("1d", 86_400), ("2w1d", 15 * 86_400)])
def test_durations_may_have_days_and_weeks(text, length_s):
    assert nanoseconds(text) == length_s * 10**9


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
