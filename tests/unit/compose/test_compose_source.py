"""YAML with lines: scalars, anchors, tags, and files that want too much."""

import pytest

from coracle.compose.places import Place
from coracle.compose.source import read
from coracle.core.errors import Malformed


def value(text):
    return read(text, "c.yaml")[0].value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"), ("yes", "yes"), ("true", True), ("False", False), ("~", None), ("null", None), ("22:22", "22:22"),
        ("0440", 0o440), ("0o17", 15), ("0x1F", 31), ("1_000", 1000), ("-5", -5), ("+5", 5), ("08", 8.0), ("1.50", 1.5), (".5", 0.5),
        ("1e3", 1000.0), ("2001-01-01", "2001-01-01"), ("'1'", "1"), ('"true"', "true"), ("!!str 5", "5"), ("1.2.3", "1.2.3"), ("-", "-"),
    ],
)  # fmt: skip
def test_scalars(text, expected):
    found = value(f"a: {text}" if text != "-" else 'a: "-"')["a"]
    assert (found, type(found)) == (expected, type(expected))


def test_every_value_has_its_line():
    document = read("services:\n  web:\n    image: x\n    ports:\n    - 80\n    - 81\n", "c.yaml")[0]
    assert document.places.of(("services", "web", "ports", 1)) == Place("c.yaml", 6)
    assert document.places.of(("services", "web", "image", "unknown")) == Place("c.yaml", 3)


def test_merge_keys_give_way_to_what_is_said():
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: {<<: *b}"
    found = value(text)
    assert found["c"] == {"x": 3, "y": 1, "z": 2}
    assert found["d"] == {"y": 2, "z": 2}


def test_tags():
    document = read("a: !reset null\nb: {c: !override [1]}", "c.yaml")[0]
    assert (document.resets, document.overrides) == ({("a",)}, {("b", "c")})


def test_several_documents():
    assert [document.value for document in read("a: 1\n---\nb: 2\n", "c.yaml")] == [{"a": 1}, {"b": 2}]


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", r'^c\.yaml:2: line 2: mapping key "a" already defined at line 1'),
        ("a:\n  1: x", r"^c\.yaml:2: non-string key in a: 1"),
        ("? [a]\n: b", "non-string key"),
        ("a: [", "did not find expected node content"),
        ("a: *nope", "undefined alias"),
        ("a: !python/object:os.system x", "unknown tag"),
        ("a: &a\n  b: *a", "anchor contains itself"),
        ("a: &a\n  <<: *a", "anchor contains itself"),
        ("a: {<<: 5}", "map merge requires"),
        (BOMB, "more than 200000 values"),
        ("a: " + "[" * 500 + "]" * 500, "nested"),
        ("a: \x00", "yaml"),
        ("#" * (5 << 20), "larger than 4 MiB"),
    ],
    ids=range(13),
)
def test_mistakes(text, message):
    with pytest.raises(Malformed, match=message):
        read(text, "c.yaml")
