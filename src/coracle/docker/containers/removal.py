"""DELETE /containers/{id}, POST /containers/prune.

Source: Docker Engine API 1.50; moby daemon/delete.go for the messages.
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.clock import Clock
from coracle.core.errors import Conflict, Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.agos import parse_ago
from coracle.docker.bodies import flag
from coracle.docker.containers import details, states
from coracle.docker.containers.finding import Finder
from coracle.docker.containers.lives import Lives
from coracle.docker.door import Route
from coracle.docker.filters import parse_filters
from coracle.engine.containers import Containers
from coracle.engine.files import Files
from coracle.web.messages import Answer, Request, Response

PRUNE_FILTERS = ("label", "label!", "until")


class Removal:
    def __init__(self, finder: Finder, lives: Lives, containers: Containers, files: Files, clock: Clock) -> None:
        self._finder, self._lives, self._containers = finder, lives, containers
        self._files, self._clock = files, clock

    def routes(self) -> Iterable[Route]:
        return (
            Route("DELETE", "/containers/{id}", self.remove),
            Route("POST", "/containers/prune", self.prune),
        )

    async def remove(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        force, anonymous = flag(request, "force"), flag(request, "v")
        if flag(request, "link"):
            raise Malformed(f"Could not get parent for /{record.spec['name']}: links are not removed one by one")
        if not force:
            _refuse_alive(record)
        try:
            await self._lives.remove(record.meta.name, force=force, anonymous=anonymous)
        except NotFound:
            if not force:
                raise  # somebody else was quicker; who forces has what they want
        return Response(204)

    async def prune(self, request: Request) -> Answer:
        filters = parse_filters(request.query.get("filters"), PRUNE_FILTERS)
        now_s = self._clock.now_s()
        before_s = min((parse_ago(text, now_s) for text in filters.get("until")), default=float("inf"))
        gone, freed_bytes = [], 0
        for record in self._containers.list():
            if not details.is_docker(record) or states.is_alive(record) or details.created_s(record) > before_s:
                continue
            if not filters.allows_labels(record.meta.labels):
                continue
            try:
                own_bytes = await self._files.own_bytes(record.meta.name)
                await self._lives.remove(record.meta.name)
            except (Conflict, NotFound):
                continue  # started, or removed, meanwhile
            gone.append(record.meta.name)
            freed_bytes += own_bytes
        return Response.of(200, {"ContainersDeleted": gone or None, "SpaceReclaimed": freed_bytes})


def _refuse_alive(record: Object) -> None:
    """Raises Conflict."""
    word, name = states.state(record), record.spec["name"]
    if word == "paused":
        raise Conflict(f'cannot remove container "/{name}": container is paused and must be unpaused first')
    if word in ("running", "restarting"):
        said = f"container is {word}: stop the container before removing or force remove"
        raise Conflict(f'cannot remove container "/{name}": {said}')
