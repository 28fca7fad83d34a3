"""JSON merge patch and JSON patch, on documents that are shared and so never changed in place.

Only what is on the way to a change is copied; all else stays the same object.
Source: RFC 7386 and RFC 6902, in the words of evanphx/json-patch where Kubernetes passes them on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from coracle.core.errors import Invalid, Malformed

OPERATIONS_LIMIT = 10_000  # as Kubernetes


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: fields of `patch` replace those of `target`, null removes, objects merge."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def apply_operations(doc: Any, operations: Any) -> Any:
    """RFC 6902.  Raises Malformed where `operations` are none, Invalid where one cannot be done or a test fails."""
    if not isinstance(operations, list) or not all(isinstance(op, dict) for op in operations):
        raise Malformed("error decoding patch: json: cannot unmarshal into Go value of type jsonpatch.Patch")
    if len(operations) > OPERATIONS_LIMIT:
        raise Malformed(f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(operations)}")
    for op in operations:
        known = _OPERATIONS.get(str(op.get("op")))
        if known is None or not isinstance(op.get("path"), str):
            raise Invalid(
                message=f"Unexpected kind: {op.get('op')}" if known is None else "missing operation path field"
            )
        doc = known(doc, op)
    return doc


def _add(doc: Any, op: dict[str, Any]) -> Any:
    return _put(doc, _path(op["path"]), _value(op))


def _remove(doc: Any, op: dict[str, Any]) -> Any:
    return _drop(doc, _path(op["path"]))


def _replace(doc: Any, op: dict[str, Any]) -> Any:
    path = _path(op["path"])
    _find(doc, path)
    return _at(doc, path, lambda _old: _value(op))


def _move(doc: Any, op: dict[str, Any]) -> Any:
    source, path = _path(_from(op)), _path(op["path"])
    if path[: len(source)] == source and path != source:
        raise Invalid(message=f"move operation: cannot move {op['from']} into itself")
    return _put(_drop(doc, source), path, _find(doc, source))


def _copy(doc: Any, op: dict[str, Any]) -> Any:
    return _put(doc, _path(op["path"]), _find(doc, _path(_from(op))))


def _test(doc: Any, op: dict[str, Any]) -> Any:
    path = _path(op["path"])
    try:
        found = _find(doc, path)
    except Invalid:
        found = None
    if not _same(found, op.get("value")):
        raise Invalid(message=f"testing value {op['path']} failed: test failed")
    return doc


_OPERATIONS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test,
}  # fmt: skip


def _path(pointer: str) -> Sequence[str]:
    """`/a/b~1c/0` -> ["a", "b/c", "0"]; "" is the whole document."""
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise Invalid(message=f"jsonpatch: invalid path {pointer!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _from(op: dict[str, Any]) -> str:
    if not isinstance(op.get("from"), str):
        raise Invalid(message="missing operation from field")
    return str(op["from"])


def _value(op: dict[str, Any]) -> Any:
    if "value" not in op:
        raise Invalid(message=f"{op['op']} operation does not apply: missing value")
    return op["value"]


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: `true` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _find(doc: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(doc, dict) and part in doc:
            doc = doc[part]
        elif isinstance(doc, list):
            doc = doc[_index(part, len(doc) - 1)]
        else:
            raise Invalid(message=f"Unable to find nonexistent key: {part}: missing value")
    return doc


def _at(doc: Any, path: Sequence[str], change: Callable[[Any], Any]) -> Any:
    """`doc` with what is at `path` changed; the containers on the way are copied."""
    if not path:
        return change(doc)
    first, rest = path[0], path[1:]
    if isinstance(doc, list):
        index = _index(first, len(doc) - 1)
        return [*doc[:index], _at(doc[index], rest, change), *doc[index + 1 :]]
    if isinstance(doc, dict) and first in doc:
        return {**doc, first: _at(doc[first], rest, change)}
    raise Invalid(message=f"doc is missing path: {'/'.join(path)}: missing value")


def _put(doc: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value

    def insert(parent: Any) -> Any:
        if isinstance(parent, dict):
            return {**parent, path[-1]: value}
        if isinstance(parent, list):
            index = len(parent) if path[-1] == "-" else _index(path[-1], len(parent))
            return [*parent[:index], value, *parent[index:]]
        raise Invalid(message=f"doc is missing path: {'/'.join(path)}: missing value")

    return _at(doc, path[:-1], insert)


def _drop(doc: Any, path: Sequence[str]) -> Any:
    if not path:
        raise Invalid(message="remove operation does not apply: the whole document")

    def cut(parent: Any) -> Any:
        if isinstance(parent, dict) and path[-1] in parent:
            return {name: value for name, value in parent.items() if name != path[-1]}
        if isinstance(parent, list):
            index = _index(path[-1], len(parent) - 1)
            return [*parent[:index], *parent[index + 1 :]]
        raise Invalid(message=f"Unable to remove nonexistent key: {path[-1]}: missing value")

    return _at(doc, path[:-1], cut)


def _index(part: str, last: int) -> int:
    """The position that `part` names; -1 is the last, as evanphx/json-patch allows."""
    try:
        index = int(part)
    except ValueError:
        raise Invalid(message=f'strconv.Atoi: parsing "{part}": invalid syntax') from None
    index = index + last + 1 if index < 0 else index
    if not 0 <= index <= last or part.strip() != part:
        raise Invalid(message=f"Unable to access invalid index: {part}: invalid index referenced")
    return index
