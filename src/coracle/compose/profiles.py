"""Which services take part: those of the enabled profiles, those named, and what these depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.errors import NotFound

Services = dict[str, dict[str, Any]]


def enabled(services: Services, profiles: Iterable[str], named: Iterable[str] = ()) -> Services:
    """The services without a profile, or of one of `profiles` (`*` is all).

    Who is `named` and would not be among them enables all of its profiles: what it depends on may be of the same.
    """
    wanted = set(profiles)

    def takes_part(service: Mapping[str, Any]) -> bool:
        own = service.get("profiles")
        return not own or "*" in wanted or not wanted.isdisjoint(own)

    for name in [name for name in named if name in services and not takes_part(services[name])]:
        wanted |= set(services[name]["profiles"])
    return {name: service for name, service in services.items() if takes_part(service)}


def selected(services: Services, named: Iterable[str]) -> Services:
    """The `named` services and those they depend on; all when none is named.  Raises NotFound."""
    open_names = list(named)
    if not open_names:
        return services
    found: set[str] = set()
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        if name not in services:
            raise NotFound(f"no such service: {name}", kind="service", name=name)
        found.add(name)
        open_names += [other for other in services[name].get("depends_on") or {} if other in services]
    return {name: service for name, service in services.items() if name in found}


def of(services: Mapping[str, Any]) -> list[str]:
    """The names of all profiles."""
    return sorted({name for service in services.values() for name in service.get("profiles") or ()})
