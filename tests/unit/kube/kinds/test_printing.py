"""Ages and lists as kubectl's users know them."""

from __future__ import annotations

import pytest

from coracle.kube.kinds.printing import human, labels, since, some

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds_s", "expected"),
    [
        (-5, "<invalid>"), (-0.5, "0s"), (0, "0s"), (0.9, "0s"), (45, "45s"), (119, "119s"), (120, "2m"), (125, "2m5s"),
        (9 * MINUTE + 59, "9m59s"), (10 * MINUTE + 5, "10m"), (179 * MINUTE, "179m"), (3 * HOUR, "3h"),
        (7 * HOUR + 45 * MINUTE, "7h45m"), (8 * HOUR + MINUTE, "8h"), (47 * HOUR, "47h"), (48 * HOUR, "2d"),
        (5 * DAY + 13 * HOUR, "5d13h"), (8 * DAY + HOUR, "8d"), (729 * DAY, "729d"), (730 * DAY, "2y"),
        (775 * DAY, "2y45d"), (9 * 365 * DAY, "9y"),
    ],
)  # fmt: skip
def test_human(seconds_s, expected):
    assert human(seconds_s) == expected


def test_since_says_when_it_does_not_know():
    assert since("2023-11-14T22:13:20Z", 1_700_000_005) == "5s"
    assert since("", 1_700_000_005) == "<unknown>"


def test_lists():
    assert some(["a", "b", "c", "d", "e"], 3) == "a,b,c + 2 more..."
    assert some(["a"], 3) == "a"
    assert some([], 3) == "<none>"
    assert labels({"b": "2", "a": "1"}) == "a=1,b=2"
    assert labels(None) == "<none>"
