"""Which service comes before which; pure.

`services` is a model's: each may have `depends_on` {name: {condition, required, restart}}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Services = Mapping[str, Mapping[str, Any]]
Edges = Mapping[str, frozenset[str]]


def dependencies(services: Services) -> Edges:
    """Service -> those it depends on, as far as they are there."""
    return {
        name: frozenset(other for other in service.get("depends_on") or () if other in services)
        for name, service in services.items()
    }


def dependents(services: Services) -> Edges:
    """Service -> those that depend on it."""
    return reverse(dependencies(services))


def restarted_with(services: Services) -> Edges:
    """Service -> those that start anew when it does (`restart: true`)."""
    edges = {
        name: frozenset(
            other
            for other, how in (service.get("depends_on") or {}).items()
            if other in services and how.get("restart")
        )
        for name, service in services.items()
    }
    return reverse(edges)


def reverse(edges: Edges) -> Edges:
    found: dict[str, set[str]] = {name: set() for name in edges}
    for name, others in edges.items():
        for other in others:
            found[other].add(name)
    return {name: frozenset(others) for name, others in found.items()}


def closure(names: Iterable[str], edges: Edges) -> set[str]:
    """`names` and everything that can be reached from them."""
    found: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in found:
            found.add(name)
            open_names += edges.get(name, ())
    return found


def cycle(edges: Edges) -> list[str]:
    """Names that lead back to the first of them; [] where there is no such way."""
    for start in sorted(edges):
        way = _way(start, start, edges)
        if way:
            return way
    return []


def _way(start: str, end: str, edges: Edges) -> list[str]:
    """The shortest way of at least one step."""
    ways, known = [[start]], set[str]()
    for way in ways:  # grows as it goes
        for name in sorted(edges.get(way[-1], ())):
            if name == end:
                return [*way, end]
            if name not in known:
                known.add(name)
                ways.append([*way, name])
    return []
