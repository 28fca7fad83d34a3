"""Variables in values: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?error}`, `${NAME:+replacement}`; `$$` is `$`.

Without the colon an empty value counts as set.  Defaults, errors and replacements may hold variables themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from coracle.compose.places import Path, Places, dotted

LIMIT_DEPTH = 50

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATOR = re.compile(r":?[-?+]")


class Missing(Exception):
    """A required variable is not there; the message is Compose's."""


class BadTemplate(Exception):
    """Dollars that mean nothing."""


def interpolate(value: Any, variables: Mapping[str, str], places: Places, unset: Callable[[str], None]) -> Any:
    """`value` with its variables put in; names of those that are not set are told to `unset`.

    Raises Malformed with file, line and the path of the value.
    """
    return _walk(value, (), variables, places, unset)


def _walk(value: Any, path: Path, variables: Mapping[str, str], places: Places, unset: Callable[[str], None]) -> Any:
    if isinstance(value, dict):
        return {key: _walk(item, (*path, key), variables, places, unset) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, (*path, at), variables, places, unset) for at, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        return substitute(value, variables, unset)
    except Missing as error:
        raise places.fault(path, f"error while interpolating {dotted(path)}: {error}") from error
    except BadTemplate as error:
        raise places.fault(
            path,
            f"invalid interpolation format for {dotted(path)}.\nYou may need to escape any $ with another $.\n{value}",
        ) from error


def substitute(template: str, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    """`template` with its variables put in.  Raises Missing and BadTemplate."""
    text, end = _until(template, 0, variables, unset, depth=0)
    return text if end == len(template) else text + template[end:]


def _until(
    template: str, at: int, variables: Mapping[str, str], unset: Callable[[str], None], depth: int
) -> tuple[str, int]:
    """The text from `at` to the end, or, inside braces (`depth` > 0), to the brace that closes; and where that is."""
    out: list[str] = []
    while at < len(template):
        char = template[at]
        if char == "}" and depth:
            return "".join(out), at
        if char != "$":
            out.append(char)
            at += 1
        elif template.startswith("$$", at):
            out.append("$")
            at += 2
        elif template.startswith("${", at):
            text, at = _braced(template, at + 2, variables, unset, depth + 1)
            out.append(text)
        elif named := _NAME.match(template, at + 1):
            out.append(_value(named[0], variables, unset))
            at = named.end()
        else:
            out.append("$")
            at += 1
    if depth:
        raise BadTemplate(template)
    return "".join(out), at


def _braced(
    template: str, at: int, variables: Mapping[str, str], unset: Callable[[str], None], depth: int
) -> tuple[str, int]:
    named = _NAME.match(template, at)
    if not named or depth > LIMIT_DEPTH:
        raise BadTemplate(template)
    name, at = named[0], named.end()
    if template.startswith("}", at):
        return _value(name, variables, unset), at + 1
    operator = _OPERATOR.match(template, at)
    if not operator:
        raise BadTemplate(template)
    held = variables.get(name)
    is_set = bool(held) if operator[0].startswith(":") else held is not None
    kind = operator[0][-1]
    used = is_set == (kind == "+")
    word, at = _until(template, operator.end(), variables, unset if used else _ignored, depth)
    if at >= len(template):
        raise BadTemplate(template)
    if kind == "+":
        return (word if is_set else ""), at + 1
    if is_set:
        return held or "", at + 1
    if kind == "?":
        raise Missing(f"required variable {name} is missing a value" + (f": {word}" if word else ""))
    return word, at + 1


def _value(name: str, variables: Mapping[str, str], unset: Callable[[str], None]) -> str:
    if name not in variables:
        unset(name)
    return variables.get(name, "")


def _ignored(_: str) -> None:
    return None
