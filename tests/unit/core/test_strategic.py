"""Strategic merge patch, by the examples of its documentation and of apimachinery's own tests."""

from __future__ import annotations

import copy

import pytest

from coracle.core.errors import Malformed
from coracle.core.schema import STRING, Schema, array_of, map_of, obj
from coracle.core.strategic import merge

ITEM = obj(name=STRING, value=STRING, other=STRING, inner=array_of(obj(name=STRING, value=STRING), merge_key="name"))
MERGED = frozenset(("merge",))
SCHEMA = obj(
    name=STRING,
    items=array_of(ITEM, merge_key="name"),
    words=Schema("array", "[]string", items=STRING, strategy=MERGED),
    atomic=array_of(STRING),
    labels=map_of(STRING),
    union=obj(a=STRING, b=STRING),
)


def named(*names):
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        pytest.param({"labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"labels": {"a": "1", "b": "2"}}, id="maps merge"),
        pytest.param({"labels": {"a": "1"}}, {"labels": {"a": None}}, {"labels": {}}, id="null removes"),
        pytest.param({}, {"labels": {"a": None, "b": "1"}}, {"labels": {"b": "1"}}, id="null adds nothing"),
        pytest.param({"atomic": ["a"]}, {"atomic": ["b"]}, {"atomic": ["b"]}, id="lists without strategy are replaced"),
        pytest.param({"words": ["a", "b"]}, {"words": ["c", "a"]}, {"words": ["c", "a", "b"]}, id="scalars are joined"),
        pytest.param(
            {"words": ["a", "b"]}, {"$deleteFromPrimitiveList/words": ["a"]}, {"words": ["b"]}, id="scalars are removed"
        ),
        pytest.param(
            {"items": [{"name": "1", "value": "x"}, {"name": "2"}]},
            {"items": [{"name": "1", "other": "y"}]},
            {"items": [{"name": "1", "value": "x", "other": "y"}, {"name": "2"}]},
            id="elements merge by key",
        ),
        pytest.param({"items": named("1")}, {"items": named("2")}, {"items": named("2", "1")}, id="a new element"),
        pytest.param(
            {"items": named("1", "2")},
            {"items": [{"name": "1", "$patch": "delete"}]},
            {"items": named("2")},
            id="delete an element",
        ),
        pytest.param(
            {"items": named("1", "2")},
            {"items": [{"$patch": "replace"}, {"name": "3"}]},
            {"items": named("3")},
            id="replace a list",
        ),
        pytest.param(
            {"labels": {"a": "1"}},
            {"labels": {"$patch": "replace", "b": "2"}},
            {"labels": {"b": "2"}},
            id="replace a map",
        ),
        pytest.param(
            {"labels": {"a": "1"}, "name": "n"},
            {"labels": {"$patch": "delete"}},
            {"labels": {}, "name": "n"},
            id="delete a map",
        ),
        pytest.param(
            {"union": {"a": "1"}}, {"union": {"$retainKeys": ["b"], "b": "2"}}, {"union": {"b": "2"}}, id="retain keys"
        ),
        pytest.param(
            {"items": named("1", "2", "3")},
            {"$setElementOrder/items": named("3", "1", "2")},
            {"items": named("3", "1", "2")},
            id="order alone",
        ),
        pytest.param(
            {"items": named("1", "2", "3")},
            {
                "$setElementOrder/items": named("4", "3", "1"),
                "items": [{"name": "4"}, {"name": "2", "$patch": "delete"}],
            },
            {"items": named("4", "3", "1")},
            id="order with a change",
        ),
        pytest.param(
            {"items": named("server", "1", "2")},
            {"$setElementOrder/items": named("2", "1"), "items": [{"name": "2", "value": "v"}]},
            {"items": [{"name": "server"}, {"name": "2", "value": "v"}, {"name": "1"}]},
            id="what only the server has keeps its place",
        ),
        pytest.param(
            {"items": [{"name": "1", "inner": [{"name": "a", "value": "x"}]}]},
            {"items": [{"name": "1", "inner": [{"name": "b"}]}]},
            {"items": [{"name": "1", "inner": [{"name": "b"}, {"name": "a", "value": "x"}]}]},
            id="lists in lists",
        ),
    ],
)
def test_merge(target, patch, expected):
    kept = copy.deepcopy((target, patch))
    assert merge(target, patch, SCHEMA) == expected
    assert (target, patch) == kept


def test_what_is_not_touched_is_shared():
    target = {"items": named("1"), "labels": {"a": "1"}}
    assert merge(target, {"labels": {"b": "2"}}, SCHEMA)["items"] is target["items"]


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param([], id="no object"),
        pytest.param({"$patch": "frobnicate"}, id="an unknown directive"),
        pytest.param({"items": [{"value": "x"}]}, id="an element without its key"),
        pytest.param({"union": {"$retainKeys": ["a"], "b": "1"}}, id="retain keys that leave one out"),
        pytest.param({"$setElementOrder/items": "x"}, id="an order that is no list"),
    ],
)
def test_a_wrong_patch_is_malformed(patch):
    with pytest.raises(Malformed):
        merge({"items": named("1"), "union": {}}, patch, SCHEMA)
