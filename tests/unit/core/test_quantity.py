"""What amounts mean and how they are written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.quantity import canonical, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("500m", "500m", id="milli stays"),
        pytest.param("0.5", "500m", id="a fraction becomes milli"),
        pytest.param("1000m", "1", id="a thousand milli are one"),
        pytest.param("1024Mi", "1Gi", id="the largest binary suffix"),
        pytest.param("1.5Gi", "1536Mi", id="no fraction in binary"),
        pytest.param("128974848", "128974848", id="a plain number"),
        pytest.param("129e6", "129e6", id="an exponent stays one"),
        pytest.param("1e3", "1e3", id="small exponent"),
        pytest.param("12e3k"[:4], "12e3", id="exponent with more digits"),
        pytest.param("2000k", "2M", id="the largest decimal suffix"),
        pytest.param("0.5Ki", "512", id="less than 1024 is written plain"),
        pytest.param("0", "0", id="zero"),
        pytest.param("0Mi", "0", id="zero has no suffix"),
        pytest.param("-1", "-1", id="negative"),
        pytest.param(2, "2", id="a JSON number"),
        pytest.param(0.25, "250m", id="a JSON fraction"),
        pytest.param("1.0000000001", "1000000001n", id="finer than a billionth is rounded up"),
        pytest.param("9999999999999E", "9223372036854775807", id="more than there can be is the most there can be"),
    ],
)
def test_canonical(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "10 Mi", "5Zi", "1KiB", "m", True, None, [], "1e", "0x10"])
def test_what_is_not_a_quantity_is_refused(text):
    with pytest.raises(ValueError, match=r"quantit"):
        parse(text)


def test_amounts_compare_and_add_across_families():
    assert parse("1Ki") == parse("1024")
    assert parse("999m") < parse("1")
    assert str(parse("64Mi") + parse("64Mi")) == "128Mi"
    assert parse("1500m").whole == 2
    assert parse("0.0001").milli == 1


@given(st.integers(-(10**15), 10**15), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e3"]))
def test_the_canonical_form_means_the_same(amount, suffix):
    there = parse(f"{amount}{suffix}")
    assert parse(str(there)) == there
