import pytest

from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Meta, Object
from coracle.docker.agos import parse_ago
from coracle.docker.filters import Filters
from coracle.docker.images.selection import pattern_of, select

NOW_S = 1_800_000_000.0


def image(id, *tags, created="2026-01-01T00:00:00Z", parent="", digests=(), labels=None):
    spec = {
        "id": id, "references": list(tags), "digests": list(digests), "parent": parent, "created": created,
        "config": {"labels": labels or {}},
    }  # fmt: skip
    return Object("Image", Meta(name=id), {"spec": spec})


OLD = image("old", "web:1", created="2025-01-01T00:00:00Z", labels={"a": "b"})
NEW = image("new", "web:2", "localhost:5000/x/web:2", created="2026-06-01T00:00:00Z", digests=["web@sha256:00"])
LOOSE = image("loose", labels={"a": "c"})
INNER, CHILD = image("inner"), image("child", "child:1", parent="inner")
ALL = [OLD, NEW, LOOSE, INNER, CHILD]


def get(name):
    found = next((one for one in ALL if name in (one.spec["id"], *one.spec["references"])), None)
    if found is None:
        raise NotFound(kind="Image", name=name)
    return found


def shown(everything=False, **asked):
    filters = Filters({name: tuple(values) for name, values in asked.items()})
    return [one.image.spec["id"] for one in select(ALL, filters, get, NOW_S, everything=everything)]


def test_the_newest_come_first_and_inner_ones_not_at_all():
    assert shown() == ["new", "loose", "child", "old"]
    assert set(shown(everything=True)) == {"new", "loose", "inner", "child", "old"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"dangling": ["true"]}, {"loose"}),
        ({"dangling": ["false"]}, {"new", "child", "old"}),
        ({"label": ["a"]}, {"loose", "old"}),
        ({"label": ["a=b"]}, {"old"}),
        ({"label!": ["a"]}, {"new", "child"}),
        ({"before": ["web:2"]}, {"loose", "child", "old"}),
        ({"since": ["old"]}, {"new", "loose", "child"}),
        ({"until": ["2025-06-01"]}, {"old"}),
        ({"reference": ["web"]}, {"new", "old"}),
        ({"reference": ["web:1"]}, {"old"}),
        ({"reference": ["*/x/*"]}, {"new"}),
        ({"reference": ["nothing", "child:?"]}, {"child"}),
        ({"reference": ["web"], "label": ["a=b"]}, {"old"}),
    ],
)
def test_filters(asked, found):
    assert set(shown(**asked)) == found


def test_only_the_names_asked_for_are_shown():
    (one,) = select([NEW], Filters({"reference": ("localhost:*/*/*",)}), get, NOW_S)
    assert (one.tags, one.digests) == (("localhost:5000/x/web:2",), ())


@pytest.mark.parametrize(
    "asked", [{"dangling": ["maybe"]}, {"until": ["soon"]}, {"reference": ["[a"]}, {"reference": ["a\\"]}]
)
def test_filters_that_cannot_be_read(asked):
    with pytest.raises(Malformed, match="invalid filter"):
        shown(**asked)


def test_an_image_that_is_compared_with_must_be_there():
    with pytest.raises(NotFound):
        shown(before=["nothing"])


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a*", "abc", True),
        ("a*", "a/b", False),
        ("*/b", "a/b", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        (r"a\*", "a*", True),
        ("a.c", "abc", False),
        ("***", "x" * 100, True),
        ("*" * 50 + "y", "x" * 5000, False),
    ],
)
def test_patterns(pattern, text, fits):
    assert (pattern_of(pattern).fullmatch(text) is not None) is fits


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("24h", NOW_S - 86_400),
        ("1h30m", NOW_S - 5_400),
        ("1.5h", NOW_S - 5_400),
        ("500ms", NOW_S - 0.5),
        ("1500000000", 1_500_000_000.0),
        ("2017-07-14", 1_499_990_400.0),
        ("2017-07-14T02:40:00", 1_500_000_000.0),
        ("2017-07-14T04:40:00+02:00", 1_500_000_000.0),
    ],
)
def test_moments_and_how_long_ago_they_were(text, at_s):
    assert parse_ago(text, NOW_S) == at_s


@pytest.mark.parametrize("text", ["", "x", "1y", "h", "2017-99-99", "1h 30m", "--1h"])
def test_what_is_no_moment(text):
    with pytest.raises(Malformed):
        parse_ago(text, NOW_S)
