"""/images: giving names, taking them away, removing and pruning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import Malformed
from coracle.core.object import Object
from coracle.docker.agos import parse_ago
from coracle.docker.bodies import flag
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.filters import Filters, parse_filters
from coracle.docker.images.selection import PRUNE_FILTERS, allows_labels
from coracle.docker.images.shapes import created_s
from coracle.engine.images import Images, Removed
from coracle.image.references import parse_reference
from coracle.web.messages import Answer, Request, Response

_ALGORITHMS = ("sha256", "sha384", "sha512")


class Naming:
    def __init__(self, images: Images, clock: Clock, events: Events) -> None:
        self._images, self._clock, self._events = images, clock, events

    def routes(self) -> Iterable[Route]:
        return (
            Route("POST", "/images/{name:path}/tag", self.tag),
            Route("DELETE", "/images/{name:path}", self.remove),
            Route("POST", "/images/prune", self.prune),
        )

    async def tag(self, request: Request) -> Answer:
        """?repo&tag -> 201"""
        image = self._images.get(request.params["name"])
        target = target_name(request.query.get("repo"), request.query.get("tag"))
        image = await self._images.tag(image.spec["id"], target)
        await self._tell("tag", image, parse_reference(target).familiar)
        return Response(201)

    async def remove(self, request: Request) -> Answer:
        """?force&noprune -> 200 [{"Untagged"} | {"Deleted"}]"""
        name = request.params["name"]
        if not name.strip():
            raise Malformed("image name cannot be blank")
        image = self._images.get(name)
        removed = await self._images.remove(name, flag(request, "force"), prune=not flag(request, "noprune"))
        await self._tell_removed(removed, image)
        return Response.of(200, removal_shape(removed))

    async def prune(self, request: Request) -> Answer:
        """?filters -> 200 {"ImagesDeleted", "SpaceReclaimed"}"""
        filters = parse_filters(request.query.get("filters"), PRUNE_FILTERS)
        deleted, freed_bytes = await self.prune_images(filters)
        return Response.of(200, {"ImagesDeleted": deleted or None, "SpaceReclaimed": freed_bytes})

    async def prune_images(self, filters: Filters) -> tuple[list[dict[str, str]], int]:
        """Remove what nobody names or uses; with dangling=false, what nobody uses.  Raises Malformed."""
        dangling = filters.flag("dangling", True)
        limits_s = [parse_ago(text, self._clock.now_s()) for text in filters.get("until")]

        def wanted(image: Object) -> bool:
            return allows_labels(filters, image) and all(created_s(image) < limit_s for limit_s in limits_s)

        rows: list[dict[str, str]] = []
        freed_bytes = 0
        for image, removed in await self._images.prune(wanted, named=dangling is False):
            await self._tell_removed(removed, image)
            rows += removal_shape(removed)
            freed_bytes += removed.freed_bytes
        await self._events.publish("image", "prune", "", {"reclaimed": str(freed_bytes)})
        return rows, freed_bytes

    async def _tell_removed(self, removed: Removed, image: Object) -> None:
        for what, id in removed.records:
            if what == "untagged":
                await self._tell("untag", image, image.spec["id"])
            elif id == image.spec["id"]:
                await self._tell("delete", image, image.spec["id"])

    async def _tell(self, action: str, image: Object, name: str) -> None:
        labels: dict[str, str] = image.spec["config"].get("labels") or {}
        await self._events.publish("image", action, image.spec["id"], {**labels, "name": name})


def removal_shape(removed: Removed) -> list[dict[str, str]]:
    words: dict[str, Any] = {"untagged": "Untagged", "deleted": "Deleted"}
    return [{words[what]: id} for what, id in removed.records]


def target_name(repository: str, tag: str) -> str:
    """The whole name of `repo` and `tag` of a query.  Raises Malformed."""
    if not repository:
        raise Malformed("invalid reference format")
    name = parse_reference(repository)
    if name.digest:
        raise Malformed("refusing to create a tag with a digest reference")
    if name.familiar.partition(":")[0] in _ALGORITHMS:
        raise Malformed("refusing to create an ambiguous tag using digest algorithm as name")
    return str(name.with_tag(tag) if tag else name)
