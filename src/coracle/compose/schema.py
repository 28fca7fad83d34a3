"""What a Compose file may hold: the specification's own JSON schema, and messages in Compose's words.

The schema is one fixed file that uses sixteen words of JSON Schema; a validator of just these (held to `jsonschema`
in our tests) costs a third of that library's import alone, and can say the one thing that is wrong where a value fits
none of several forms: the problem of the form that fits best.  `uniqueItems` is left out: what is said twice is kept
once, as Compose does.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from coracle.compose.places import Path, Places, dotted

_NAMES = {"object": "mapping", "array": "list", "integer": "number", "null": "null"}


@dataclass(frozen=True)
class Problem:
    path: Path
    message: str
    wanted: tuple[str, ...] = ()
    """Set when the value is of the wrong type: the types that would be right."""
    unknown: bool = False
    """The key at the end of `path` should not be there."""


@cache
def specification() -> dict[str, Any]:
    """The schema, as shipped."""
    text = resources.files("coracle.compose").joinpath("compose-spec.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def check(value: Any, places: Places) -> None:
    """Raise Malformed for the first value that the specification does not allow, with its file and line."""
    for problem in problems(value, specification()):
        owner = problem.path[:-1] if problem.unknown else problem.path
        raise places.fault(problem.path, f"{dotted(owner) or '(root)'} {problem.message}")


def problems(value: Any, schema: dict[str, Any]) -> Iterator[Problem]:
    """What in `value` breaks `schema`, in the order of the value."""
    return _problems(value, schema, (), schema)


def _problems(value: Any, schema: dict[str, Any], path: Path, root: dict[str, Any]) -> Iterator[Problem]:
    if reference := schema.get("$ref"):
        schema = root["definitions"][reference.rpartition("/")[2]]
    types = schema.get("type")
    if types is not None and not _is(value, wanted := [types] if isinstance(types, str) else types):
        yield _mistyped(path, wanted)
        return
    if forms := schema.get("oneOf") or schema.get("anyOf"):
        yield from _none_fits(value, forms, path, root)
    if isinstance(value, dict):
        yield from _in_mapping(value, schema, path, root)
    elif isinstance(value, list):
        yield from _in_list(value, schema, path, root)
    else:
        yield from _in_scalar(value, schema, path)


def _in_mapping(value: dict[str, Any], schema: dict[str, Any], path: Path, root: dict[str, Any]) -> Iterator[Problem]:
    for name in schema.get("required", ()):
        if name not in value:
            yield Problem(path, f"{name} is required")
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for key, item in value.items():
        fitting = [known[key]] if key in known else []
        fitting += [inner for pattern, inner in patterns.items() if re.search(pattern, key)]
        for inner in fitting:
            yield from _problems(item, inner, (*path, key), root)
        rest = schema.get("additionalProperties", True)
        if fitting or rest is True:
            continue
        if rest is False:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            yield Problem((*path, key), f"additional property {key} is not allowed{hint}", unknown=True)
        else:
            yield from _problems(item, rest, (*path, key), root)


def _in_list(value: list[Any], schema: dict[str, Any], path: Path, root: dict[str, Any]) -> Iterator[Problem]:
    if "items" in schema:
        for at, item in enumerate(value):
            yield from _problems(item, schema["items"], (*path, at), root)


def _in_scalar(value: Any, schema: dict[str, Any], path: Path) -> Iterator[Problem]:
    if "enum" in schema and value not in schema["enum"]:
        yield Problem(path, f"must be one of {', '.join(json.dumps(allowed) for allowed in schema['enum'])}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield Problem(path, f"'{value}' does not match pattern '{schema['pattern']}'")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield Problem(path, f"must be greater than or equal to {schema['minimum']}")
        if value > schema.get("maximum", value):
            yield Problem(path, f"must be less than or equal to {schema['maximum']}")


def _none_fits(value: Any, forms: list[dict[str, Any]], path: Path, root: dict[str, Any]) -> Iterator[Problem]:
    """Nothing when one of the forms fits, else what is wrong in the form that fits best."""
    wrong = []
    for form in forms:
        first = next(_problems(value, form, path, root), None)
        if first is None:
            return
        wrong.append(first)
    closer = [problem for problem in wrong if problem.path != path or not problem.wanted]
    if closer:
        yield max(closer, key=lambda problem: len(problem.path))
        return
    yield _mistyped(path, list(dict.fromkeys(name for problem in wrong for name in problem.wanted)))


def _mistyped(path: Path, wanted: list[str]) -> Problem:
    names = list(dict.fromkeys(_NAMES.get(name, name) for name in wanted))
    said = " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return Problem(path, f"must be a {said}", tuple(wanted))


def _is(value: Any, types: list[str]) -> bool:
    return any(_is_one(value, name) for name in types)


def _is_one(value: Any, name: str) -> bool:
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)
