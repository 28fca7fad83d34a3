"""Joins the daemon's side of Compose.  Called by node.assembly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coracle.compose.projects import objects
from coracle.compose.projects.asking import Asking
from coracle.compose.projects.door import PREFIX, ProjectDoor
from coracle.compose.projects.loop import Projects
from coracle.compose.projects.observe import INDEXES
from coracle.compose.projects.others import Others
from coracle.compose.projects.preflight import Preflight, TryPort
from coracle.core.clock import Clock
from coracle.core.errors import CloudError
from coracle.core.informer import Informer
from coracle.core.store import Store
from coracle.engine.kinds.container import TYPE as CONTAINERS
from coracle.net.forwards import Forwards
from coracle.web.edge import edge
from coracle.web.limits import Terms
from coracle.web.messages import Answer, Handler, Request, Response

__all__ = ["INDEXES", "TYPES", "Compose", "DockerDoor", "compose"]

TYPES = (objects.TYPE, *INDEXES)


@dataclass(frozen=True, slots=True)
class DockerDoor:
    """Docker's door, as the socket's server has it."""

    handler: Handler
    terms: Callable[[str, str], Terms]
    say: Callable[[CloudError], Response]


@dataclass(frozen=True, slots=True)
class Compose:
    """`projects` is a Part; `door` stands in front of Docker's."""

    projects: Projects
    door: DockerDoor


def compose(
    docker: DockerDoor,
    store: Store,
    caches: Mapping[str, Informer],
    clock: Clock,
    *,
    forwards: Forwards,
    try_port: TryPort,
) -> Compose:
    """`caches` of TYPES, with INDEXES."""
    asking = Asking(docker.handler)
    projects = Projects(asking, store, caches, clock)
    own = ProjectDoor(projects, Preflight(asking, forwards, try_port)).router
    others = Others(docker.handler, projects, caches[CONTAINERS])
    safe = edge(own.dispatch, docker.say)

    async def handler(request: Request) -> Answer:
        return await (safe if request.raw_path.startswith(PREFIX) else others.handle)(request)

    def terms(method: str, raw_path: str) -> Terms:
        return (own.terms if raw_path.startswith(PREFIX) else docker.terms)(method, raw_path)

    return Compose(projects, DockerDoor(handler, terms, docker.say))
