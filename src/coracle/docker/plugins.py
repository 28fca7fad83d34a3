"""Plugins: there are none, and none can be installed.

Source: moby api/server/router/plugin; the words are those of plugin/store.go and daemon's plugin manager.
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.errors import NotFound, Unsupported
from coracle.docker.door import Route
from coracle.docker.filters import parse_filters
from coracle.web.messages import Answer, Request, Response


class Plugins:
    def routes(self) -> Iterable[Route]:
        yield Route("GET", "/plugins", self.list)
        for method, pattern in (
            ("GET", "/plugins/{name:path}/json"),
            ("DELETE", "/plugins/{name:path}"),
            ("POST", "/plugins/{name:path}/enable"),
            ("POST", "/plugins/{name:path}/disable"),
            ("POST", "/plugins/{name:path}/push"),
            ("POST", "/plugins/{name:path}/set"),
            ("POST", "/plugins/{name:path}/upgrade"),
        ):
            yield Route(method, pattern, self.missing)
        yield Route("GET", "/plugins/privileges", self.refuse)
        yield Route("POST", "/plugins/pull", self.refuse)
        yield Route("POST", "/plugins/create", self.refuse, streaming=True)

    async def list(self, request: Request) -> Answer:
        parse_filters(request.query.get("filters"), ("enabled", "capability"))
        return Response.of(200, [])

    async def missing(self, request: Request) -> Answer:
        name = request.params["name"]
        raise NotFound(f'plugin "{name}" not found', kind="Plugin", name=name)

    async def refuse(self, request: Request) -> Answer:
        raise Unsupported("this engine has no plugins", status=501)
