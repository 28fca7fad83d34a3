"""The `filters` parameter: which things a client wants to see.

    {"label": {"a=b": true}, "status": {"running": true}}     as the CLI sends it
    {"label": ["a=b"], "status": ["running"]}                 as docker-py does

Values of one name are alternatives, but for `label`, of which all must hold.
Source: moby api/types/filters (FromJSON, Args); reference docker.md 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import orjson

from coracle.core.errors import Malformed

REPEATS_AT_MOST = 4
_REPEAT = re.compile(r"(?<!\\)[*+{]")
_QUANTIFIED_GROUP = re.compile(r"(?<!\\)\)[*+?{]")


@dataclass(frozen=True, slots=True)
class Filters:
    """name -> the values asked for, in order."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return bool(self.values.get(name))

    def get(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def allows(self, name: str, value: str) -> bool:
        """Nothing is asked of `name`, or one of the asked values is exactly `value`."""
        return name not in self or value in self.get(name)

    def allows_match(self, name: str, text: str) -> bool:
        """As `allows`, where the asked values are regular expressions that may match anywhere (names, ids)."""
        return name not in self or any(_search(pattern, text) for pattern in self.get(name))

    def allows_labels(self, labels: Mapping[str, str], name: str = "label") -> bool:
        """All asked labels are there: `key`, or `key=value`."""
        return all(_has(labels, wanted) for wanted in self.get(name)) and not any(
            _has(labels, unwanted) for unwanted in self.get(f"{name}!")
        )

    def flag(self, name: str, default: bool | None = None) -> bool | None:
        """A yes or no.  Raises Malformed."""
        if name not in self:
            return default
        value = self.get(name)[0].lower()
        if value in ("1", "true", "t"):
            return True
        if value in ("0", "false", "f"):
            return False
        raise Malformed(f"invalid filter '{name}={value[:40]}'")


def parse_filters(text: str, known: Collection[str]) -> Filters:
    """Raises Malformed: not JSON of either form, or a name that is not known here."""
    if not text:
        return Filters()
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"invalid filter: {error}") from error
    if found is None:
        return Filters()
    if not isinstance(found, dict):
        raise Malformed("invalid filter: must be an object")
    values: dict[str, tuple[str, ...]] = {}
    for name, asked in found.items():
        if name not in known:
            raise Malformed(f"invalid filter '{name[:100]}'")
        values[name] = _values(name, asked)
    return Filters(values)


def _values(name: str, asked: object) -> tuple[str, ...]:
    if isinstance(asked, dict) and all(isinstance(on, bool) for on in asked.values()):
        return tuple(str(value) for value, on in asked.items() if on)
    if isinstance(asked, list) and all(isinstance(value, str) for value in asked):
        return tuple(asked)
    raise Malformed(f"invalid filter '{name[:100]}': must be a map of booleans or a list of strings")


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _search(pattern: str, text: str) -> bool:
    """Raises Malformed: an expression that could keep us busy for long (Go's are linear, Python's are not)."""
    if _QUANTIFIED_GROUP.search(pattern) or len(_REPEAT.findall(pattern)) > REPEATS_AT_MOST:
        raise Malformed(f"invalid filter: the expression {pattern[:100]!r} repeats too much")
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern in text
