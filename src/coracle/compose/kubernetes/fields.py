"""A model's mappings, read field by field: what nobody took is warned of, so that nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coracle.compose.kubernetes.unsaid import IRRELEVANT, UNSAID
from coracle.compose.places import Path, Places, dotted

_UNKNOWN = "Kubernetes has no such thing"


@dataclass
class Notes:
    """Warnings, each with the place of what it is about."""

    places: Places
    said: dict[str, None] = field(default_factory=dict)

    def warn(self, path: Path, text: str) -> None:
        place = self.places.of(path)
        self.said[f"{place}: {dotted(path)}: {text}" if place else f"{dotted(path)}: {text}"] = None


class Fields:
    """One mapping of the model.  `sort` is its path without names and numbers, as `unsaid` knows it."""

    def __init__(self, given: Mapping[str, Any] | None, path: Path, notes: Notes, sort: str = "") -> None:
        self.given, self.path, self.notes = given or {}, path, notes
        self.sort = sort or str(path[0])
        self._taken: set[str] = set()
        self._parts: dict[Path, Fields] = {}

    @property
    def name(self) -> str:
        """The key that leads here."""
        return str(self.path[-1])

    def take(self, key: str, default: Any = None) -> Any:
        """The field's value, or `default` where it is missing or null."""
        self._taken.add(key)
        value = self.given.get(key)
        return default if value is None else value

    def part(self, key: str) -> Fields:
        """The mapping at `key`, to be read in the same way; empty where there is none."""
        return self._add(self.take(key), (*self.path, key), f"{self.sort}.{key}")

    def parts(self, key: str) -> list[Fields]:
        """The mappings in the list or mapping at `key`."""
        value = self.take(key, ())
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        return [self._add(item, (*self.path, key, name), f"{self.sort}.{key}") for name, item in items]

    def _add(self, value: Any, path: Path, sort: str) -> Fields:
        return self._parts.setdefault(path, Fields(value, path, self.notes, sort))

    def warn(self, key: str, text: str) -> None:
        self.notes.warn((*self.path, key) if key else self.path, text)

    def finish(self) -> None:
        """Warn of what was not taken."""
        for key, value in self.given.items():
            name = f"{self.sort}.{key}"
            if key not in self._taken and not key.startswith("x-") and name not in IRRELEVANT and _means(value):
                self.warn(key, UNSAID.get(name, _UNKNOWN))
        for part in self._parts.values():
            part.finish()


def _means(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], {})


def compact(**given: Any) -> dict[str, Any]:
    """Those that are something: no null, no empty list or mapping or text."""
    return {key: value for key, value in given.items() if value is not None and value not in ([], {}, "")}
