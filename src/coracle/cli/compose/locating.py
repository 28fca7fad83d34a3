"""Where in the files a refusal of the daemon has its reason, which knows the project and not the files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coracle.compose.places import Path
    from coracle.compose.project import Project

_SERVICE = re.compile(r'service "(?P<one>[^"]+)"|the "(?P<other>[^"]+)" service')
_THINGS = {
    "networks": re.compile(r"network (\S+) declared as external"),
    "volumes": re.compile(r'external volume "([^"]+)" not found'),
}
_MADE = re.compile(r"(network|volume) (\S+): ")
_PARTS = {
    "ports": ("port is already allocated", "publishes port"),
    "container_name": ("container name",),
    "volumes": ("bind source path",),
    "image": ("No such image",),
}


def located(message: str, project: Project | None) -> str:
    """`message`, behind the file and the line that it is about where these are known."""
    path = _path(message, project) if project else None
    return placed(message, project, path) if project and path else message


def placed(message: str, project: Project, path: Path) -> str:
    """`message`, behind the file and the line of what is at `path`."""
    place = project.places.of(path)
    return f"{place}: {message}" if place else message


def _path(message: str, project: Project) -> Path | None:
    for kind, pattern in _THINGS.items():
        if found := pattern.search(message):
            things = (project.model.get(kind) or {}).items()
            return next(((kind, key) for key, thing in things if thing["name"] == found[1]), None)
    if found := _MADE.match(message):
        return f"{found[1]}s", found[2]
    if found := _SERVICE.search(message):
        name = found["one"] or found["other"]
        part = next((part for part, words in _PARTS.items() if any(word in message for word in words)), None)
        return ("services", name, part) if part else ("services", name)
    return None
