"""The Docker door: joins the parts of the edge into one handler.

Each area has a module (or folder) with a class whose constructor takes the services it uses and whose `routes()` lists
what it answers.  A handler is `async def verb(self, request: Request) -> Answer`; where the answer depends on the
client's API version it asks `version_of(request)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from coracle.core.errors import CloudError
from coracle.docker.errors import say
from coracle.docker.versions import NEWEST, split, version_of
from coracle.web.edge import edge
from coracle.web.limits import Terms
from coracle.web.messages import Answer, Handler, Request, Response
from coracle.web.router import Router

BODY_LIMIT_BYTES = 4 * 1024 * 1024  # of a JSON body; archives are streamed

HEADERS: Mapping[str, str] = {
    "Api-Version": str(NEWEST),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": "Coracle (linux)",
}


@dataclass(frozen=True, slots=True)
class Route:
    """`streaming`: the handler reads the body itself, of whatever length (`request.stream()`)."""

    method: str
    pattern: str
    handler: Handler
    streaming: bool = False


class Area(Protocol):
    """A part of the API."""

    def routes(self) -> Iterable[Route]: ...


@dataclass(frozen=True, slots=True)
class Door:
    """What a server needs of us: the handler, how to take a body, and how we word what the server itself refuses."""

    handler: Handler
    terms: Callable[[str, str], Terms]
    say: Callable[[CloudError], Response] = say
    routes: tuple[Route, ...] = field(default=())


def door(areas: Iterable[Area]) -> Door:
    """The door over these areas."""
    router = Router()
    routes = tuple(route for area in areas for route in area.routes())
    for route in routes:
        limit = None if route.streaming else BODY_LIMIT_BYTES
        router.add(route.method, route.pattern, route.handler, streaming=route.streaming, body_limit_bytes=limit)

    async def versioned(request: Request) -> Answer:
        request.mount, request.raw_path = split(request.raw_path)
        version_of(request)
        return await router.dispatch(request)

    safe = edge(versioned, say)

    async def handler(request: Request) -> Answer:
        answer = await safe(request)
        answer.headers = {**HEADERS, **answer.headers}
        return answer

    return Door(handler, lambda method, raw_path: router.terms(method, split(raw_path)[1]), routes=routes)
