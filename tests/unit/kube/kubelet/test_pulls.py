"""Pulls: what is said of them."""

from __future__ import annotations

import pytest

from coracle.kube.kubelet.pulls import duration


@pytest.mark.parametrize(
    ("took_s", "said"),
    [
        (0.0004, "0s"),
        (0.0129, "12ms"),
        (0.9999, "999ms"),
        (1.25, "1.25s"),
        (59.9999, "59.999s"),
        (62.5, "1m2.5s"),
        (300, "5m0s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations_are_told_in_whole_milliseconds_as_go_writes_them(took_s, said):
    assert duration(took_s) == said
