"""Strategic merge patch: a merge patch in which lists merge by the key of their elements.

What the schema says of a list decides: strategy `merge` with a merge key (containers by name), `merge` of scalars
(finalizers), or else replacement.  Directives in the patch:

    {"$patch": "replace"}, {"$patch": "delete"}     the whole map, or in a list element: the whole list, this element
    "$retainKeys": ["type"]                         drop the original's other keys (unions)
    "$deleteFromPrimitiveList/finalizers": ["a"]    remove scalars
    "$setElementOrder/containers": [{"name": "a"}]  the order in which the result stands

Nothing is changed in place.  Source: Kubernetes, contributors/devel/sig-api-machinery/strategic-merge-patch.md;
apimachinery/pkg/util/strategicpatch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from coracle.core.errors import Malformed
from coracle.core.schema import ANY, Schema

_PATCH, _RETAIN = "$patch", "$retainKeys"
_DELETE, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"

Doc = dict[str, Any]
KeyOf = Callable[[Any], Hashable]


def merge(target: Any, patch: Any, schema: Schema) -> Any:
    """`target` with `patch` applied.  Raises Malformed where a directive is wrong or an element has no merge key."""
    if not isinstance(patch, dict):
        raise Malformed("unable to find a JSON object in the patch")
    return _merge_map(target if isinstance(target, dict) else {}, patch, schema)


def _merge_map(original: Doc, patch: Doc, schema: Schema) -> Doc:
    match patch.get(_PATCH):
        case None | "merge":
            pass
        case "replace":
            return {name: _plain(value) for name, value in patch.items() if name != _PATCH and value is not None}
        case "delete":
            return {}
        case other:
            raise Malformed(f"unknown patch type: {other}")
    merged = _retained(original, patch)
    for name in [
        name.removeprefix(_ORDER) for name in patch if name.startswith(_ORDER) and name[len(_ORDER) :] not in patch
    ]:
        if isinstance(merged.get(name), list):
            merged[name] = _ordered(merged[name], patch[_ORDER + name], merged[name], _key_of(schema.child(name)))
    for name, value in patch.items():
        if name.startswith(_DELETE):
            _delete_scalars(merged, name.removeprefix(_DELETE), value)
        elif not name.startswith("$") or name == "$ref":
            _merge_field(merged, name, value, schema.child(name), patch.get(_ORDER + name))
    return merged


def _retained(original: Doc, patch: Doc) -> Doc:
    keys = patch.get(_RETAIN)
    if keys is None:
        return dict(original)
    if not isinstance(keys, list) or any(name not in keys for name in patch if not name.startswith("$")):
        raise Malformed("$retainKeys must be a list of all the keys in the patch")
    return {name: value for name, value in original.items() if name in keys}


def _delete_scalars(merged: Doc, name: str, doomed: Any) -> None:
    if not isinstance(doomed, list):
        raise Malformed("invalid patch format of primitive list")
    if isinstance(merged.get(name), list):
        merged[name] = [item for item in merged[name] if item not in doomed]


def _merge_field(merged: Doc, name: str, value: Any, schema: Schema, order: Any) -> None:
    old = merged.get(name)
    if value is None:
        merged.pop(name, None)
    elif isinstance(value, dict) and isinstance(old, dict) and "replace" not in schema.strategy:
        merged[name] = _merge_map(old, value, schema)
    elif isinstance(value, list) and isinstance(old, list) and "merge" in schema.strategy:
        key_of = _key_of(schema)
        result = _merge_list(old, value, schema)
        merged[name] = _ordered(result, value if order is None else order, old, key_of)
    elif isinstance(value, dict):
        merged[name] = _merge_map({}, value, schema)
    elif isinstance(value, list):
        added = _plain(value)
        merged[name] = added if order is None else _ordered(added, order, [], _key_of(schema))
    else:
        merged[name] = value


def _merge_list(original: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    items = schema.items or ANY
    if not any(isinstance(item, dict) for item in (*original, *patch)):
        return list(dict.fromkeys([*original, *patch]))
    key = schema.merge_key
    for item in patch:
        if not isinstance(item, dict):
            raise Malformed("list element types are not identical")
        if key not in item and item.get(_PATCH) != "replace":
            raise Malformed(f"map: {go_print(item)} does not contain declared merge key: {key}")
    merged = _without_special(original, patch, key)
    for item in patch:
        if _PATCH in item and item[_PATCH] != "merge":
            continue
        index = next((i for i, old in enumerate(merged) if isinstance(old, dict) and old.get(key) == item[key]), None)
        if index is None:
            merged.append(_merge_map({}, item, items))
        else:
            merged[index] = _merge_map(merged[index], item, items)
    return merged


def _without_special(original: list[Any], patch: list[Any], key: str) -> list[Any]:
    """What is left of the original after the elements of the patch that replace all, or delete one."""
    doomed = []
    for item in patch:
        match item.get(_PATCH):
            case None | "merge":
                pass
            case "replace":
                return []
            case "delete":
                doomed.append(item[key])
            case other:
                raise Malformed(f"unknown patch type: {other}")
    return [old for old in original if not (isinstance(old, dict) and old.get(key) in doomed)]


def _key_of(schema: Schema) -> KeyOf:
    key = schema.merge_key
    return lambda item: item.get(key) if isinstance(item, dict) else item


def _ordered(merged: list[Any], wanted: Any, before: list[Any], key_of: KeyOf) -> list[Any]:
    """`merged` in the order of `wanted`; what is not in there keeps its place before what it was before of.

    Two sorted lists are merged: elements named by the patch in its order, the others in the server's.
    """
    if not isinstance(wanted, list):
        raise Malformed("invalid patch format of setElementOrder list")
    rank = {key: i for i, key in reversed(list(enumerate(map(key_of, wanted))))}
    place = {key_of(item): i for i, item in enumerate(before)}
    named = sorted((item for item in merged if key_of(item) in rank), key=lambda item: rank[key_of(item)])
    others = sorted(
        (item for item in merged if key_of(item) not in rank), key=lambda item: place.get(key_of(item), len(place))
    )
    result: list[Any] = []
    while named and others:
        ours, theirs = place.get(key_of(others[0])), place.get(key_of(named[0]))
        first = others if ours is not None and theirs is not None and ours < theirs else named
        result.append(first.pop(0))
    return result + others + named


def _plain(value: Any) -> Any:
    """A value of the patch that goes in as it is: without nulls and directives."""
    if isinstance(value, dict):
        return {
            name: _plain(item)
            for name, item in value.items()
            if item is not None and not (name in (_PATCH, _RETAIN) or name.startswith((_DELETE, _ORDER)))
        }
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and item.get(_PATCH) == "delete")]
    return value


def go_print(value: Any) -> str:
    """As Go prints it: `map[image:nginx name:a]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_print(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_print, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)
