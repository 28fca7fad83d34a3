"""Swarm mode, as an engine that is in no swarm answers.

Source: moby daemon/cluster (errors.go, errNoManager, Leave, UnlockSwarm); the paths are the API's, version 1.50.
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.errors import Malformed, Unavailable, Unsupported
from coracle.docker.bodies import Fields, body_of
from coracle.docker.door import Route
from coracle.web.messages import Answer, Request

NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
_MANAGERS_ONLY = """
    GET /swarm, GET /swarm/unlockkey, POST /swarm/update, POST /swarm/unlock,
    GET /services, POST /services/create, GET /services/{id}, DELETE /services/{id}, POST /services/{id}/update,
    GET /services/{id}/logs,
    GET /nodes, GET /nodes/{id}, DELETE /nodes/{id}, POST /nodes/{id}/update,
    GET /tasks, GET /tasks/{id}, GET /tasks/{id}/logs,
    GET /secrets, POST /secrets/create, GET /secrets/{id}, DELETE /secrets/{id}, POST /secrets/{id}/update,
    GET /configs, POST /configs/create, GET /configs/{id}, DELETE /configs/{id}, POST /configs/{id}/update
"""


class Swarm:
    """Everything that needs a swarm says so; there is no way into one yet."""

    def routes(self) -> Iterable[Route]:
        yield Route("POST", "/swarm/init", self.init)
        yield Route("POST", "/swarm/join", self.join)
        yield Route("POST", "/swarm/leave", self.leave)
        for line in _MANAGERS_ONLY.split(","):
            method, pattern = line.split()
            yield Route(method, pattern, self.managers_only)

    async def managers_only(self, request: Request) -> Answer:
        raise Unavailable(NO_MANAGER)

    async def leave(self, request: Request) -> Answer:
        raise Unavailable("This node is not part of a swarm")

    async def init(self, request: Request) -> Answer:
        if not Fields(body_of(request)).text("ListenAddr"):
            raise Malformed('invalid ListenAddr "": invalid empty address')
        raise Unsupported("this engine cannot begin a swarm", status=501)

    async def join(self, request: Request) -> Answer:
        asked = Fields(body_of(request))
        if not asked.text("ListenAddr"):
            raise Malformed('invalid ListenAddr "": invalid empty address')
        if not asked.texts("RemoteAddrs"):
            raise Malformed("at least 1 RemoteAddr is required to join")
        raise Unsupported("this engine cannot join a swarm", status=501)
