import pytest

from coracle.core.errors import Malformed
from coracle.docker.moments import moment, moment_s
from coracle.web.messages import Request


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1136073845", 1136073845.0),
        ("1795424402.123456999", 1795424402.123456),  # what was written in that microsecond is not before it
        ("-1.5", -1.5),
        ("12.", 12.0),
        ("2026-11-23T09:00:02.123456Z", 1795424402.123456),
    ],
)
def test_moments(text, seconds):
    assert moment_s(text) == seconds


@pytest.mark.parametrize("text", ["yesterday", "1e5", "NaN", "1.2.3", "9" * 13, ""])
def test_what_is_none(text):
    with pytest.raises(Malformed, match="invalid time"):
        moment_s(text)


def test_a_query_without_one():
    assert [moment(Request("GET", f"/events{query}"), "since") for query in ("", "?since=", "?since=0")] == [None] * 3
    assert moment(Request("GET", "/events?since=5"), "since") == 5.0
