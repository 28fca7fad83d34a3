"""JSON merge patch and JSON patch, against RFC 7386's table, RFC 6902's rules and the jsonpatch library."""

from __future__ import annotations

import copy

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.errors import Invalid, Malformed
from coracle.core.patch import apply_operations, merge

# RFC 7386, appendix A
RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "expected"), RFC_7386)
def test_merge_as_the_rfc_says(target, patch, expected):
    before = copy.deepcopy(target)
    assert merge(target, patch) == expected
    assert target == before


def test_merge_shares_what_it_does_not_touch():
    target = {"a": {"x": 1}, "b": {"y": [1]}}
    assert merge(target, {"a": {"x": 2}})["b"] is target["b"]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ({"op": "add", "path": "/l/0", "value": 0}, {"l": [0, 1, 2], "o": {"k": "v"}}),
        ({"op": "add", "path": "/l/-", "value": 3}, {"l": [1, 2, 3], "o": {"k": "v"}}),
        ({"op": "add", "path": "/o/n~1a~0b", "value": 1}, {"l": [1, 2], "o": {"k": "v", "n/a~b": 1}}),
        ({"op": "remove", "path": "/l/-1"}, {"l": [1], "o": {"k": "v"}}),
        ({"op": "replace", "path": "/o/k", "value": None}, {"l": [1, 2], "o": {"k": None}}),
        ({"op": "move", "from": "/o/k", "path": "/m"}, {"l": [1, 2], "o": {}, "m": "v"}),
        ({"op": "copy", "from": "/l", "path": "/o/k"}, {"l": [1, 2], "o": {"k": [1, 2]}}),
        ({"op": "test", "path": "/l/1", "value": 2}, {"l": [1, 2], "o": {"k": "v"}}),
        ({"op": "test", "path": "/absent", "value": None}, {"l": [1, 2], "o": {"k": "v"}}),
    ],
    ids=lambda value: value.get("op", ""),
)
def test_each_operation(op, expected):
    doc = {"l": [1, 2], "o": {"k": "v"}}
    assert apply_operations(doc, [op]) == expected
    assert doc == {"l": [1, 2], "o": {"k": "v"}}


@pytest.mark.parametrize(
    "op",
    [
        {"op": "add", "path": "/absent/x", "value": 1},
        {"op": "add", "path": "/l/3", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "add", "path": "o", "value": 1},
        {"op": "add", "path": "/o/x"},
        {"op": "remove", "path": "/absent"},
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "move", "from": "/o", "path": "/o/k"},
        {"op": "copy", "path": "/o/k"},
        {"op": "test", "path": "/l/0", "value": True},
        {"op": "test", "path": "/l/0", "value": 2},
        {"op": "nothing", "path": "/l"},
    ],
    ids=str,
)
def test_what_cannot_be_done_is_invalid(op):
    with pytest.raises(Invalid):
        apply_operations({"l": [1, 2], "o": {"k": "v"}}, [op])


@pytest.mark.parametrize("operations", [{}, "x", [1], [[]]], ids=str)
def test_what_is_no_patch_is_malformed(operations):
    with pytest.raises(Malformed):
        apply_operations({}, operations)


DOCS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(DOCS, DOCS)
def test_a_patch_made_by_the_library_leads_to_the_same(one, other):
    one, other = {"d": one}, {"d": other}
    patch = jsonpatch.make_patch(one, other)
    assert apply_operations(one, list(patch)) == other
