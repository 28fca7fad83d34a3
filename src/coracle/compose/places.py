"""Where values were written: a file and a line for each path in a model, for messages that lead to the mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from coracle.core.errors import Malformed

Path = tuple[str | int, ...]
"""The keys and list indices that lead from the top of a model to a value."""


@dataclass(frozen=True)
class Place:
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass
class Places:
    """The places of one model's values."""

    known: dict[Path, Place] = field(default_factory=dict)

    def of(self, path: Path) -> Place | None:
        """The place of what is at `path`, or else of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if place := self.known.get(path[:length]):
                return place
        return None

    def under(self, path: Path) -> Iterator[tuple[Path, Place]]:
        return ((known, place) for known, place in self.known.items() if known[: len(path)] == path)

    def update(self, other: Places, at: Path = (), to: Path = ()) -> None:
        """Take over what `other` knows below `at`, as being below `to`; what it knows wins."""
        for path, place in other.under(at):
            self.known[(*to, *path[len(at) :])] = place

    def fault(self, path: Path, message: str) -> Malformed:
        """An error about the value at `path`."""
        place = self.of(path)
        return Malformed(f"{place}: {message}" if place else message)


def dotted(path: Path) -> str:
    """`services.web.ports.0`, as Compose writes paths."""
    return ".".join(str(step) for step in path)
