"""A project that nobody has declared here, from the labels of its containers; pure.

Another Compose client made it, so we keep one word about it (stop, start, down) and then leave it alone.
"""

from __future__ import annotations

from typing import Any

from coracle.compose.create import labels
from coracle.compose.projects.asked import File
from coracle.compose.projects.objects import Service, Spec
from coracle.compose.projects.seen import Present, Seen


def borrowed(name: str, present: Present, file: File | None) -> Spec:
    """`file`: what the files say of it, where there are any; containers of other services are orphans then."""
    containers = [one for one in present.containers if one.service and not one.one_off]
    known = dict(file.model["services"]) if file else _told(containers)
    names = sorted({one.service for one in containers} & set(known))
    model: dict[str, Any] = {"name": name, "services": known}
    marks = containers[0].labels if containers else {}
    files = marks.get(labels.FILES, "")
    return Spec(
        directory=file.directory if file else marks.get(labels.DIRECTORY, ""),
        files=file.files if file else tuple(files.split(",")) if files else (),
        model=model,
        services={service: _as_it_is(present.of(service)) for service in names},
        borrowed=True,
    )


def _as_it_is(there: list[Seen]) -> Service:
    return Service(want="running" if any(one.alive for one in there) else "created", scale=len(there))


def _told(containers: list[Seen]) -> dict[str, Any]:
    return {one.service: {"depends_on": _dependencies(one.depends_on)} for one in containers}


def _dependencies(text: str) -> dict[str, Any]:
    """`db:service_healthy:true,queue:service_started:false`, as the label says."""
    found = {}
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition(":")
        condition, _, restart = rest.partition(":")
        found[name] = {
            "condition": condition or "service_started",
            "restart": restart == "true",
            "required": True,
        }
    return found
