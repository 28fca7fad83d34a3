"""/images: what there is, and what one image is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.docker.bodies import flag
from coracle.docker.door import Route
from coracle.docker.filters import Filters, parse_filters
from coracle.docker.images import shapes
from coracle.docker.images.platforms import asked_platform
from coracle.docker.images.selection import LIST_FILTERS, select
from coracle.docker.versions import Version, version_of
from coracle.engine.images import Images
from coracle.engine.kinds import container as containers
from coracle.image.manifest import parse_platform
from coracle.web.messages import Answer, Request, Response


class Listing:
    def __init__(self, images: Images, store: Store, clock: Clock) -> None:
        self._images, self._store, self._clock = images, store, clock

    def routes(self) -> Iterable[Route]:
        return (
            Route("GET", "/images/json", self.list_images),
            Route("GET", "/images/{name:path}/json", self.inspect),
            Route("GET", "/images/{name:path}/history", self.history),
        )

    async def list_images(self, request: Request) -> Answer:
        """?all&filters&shared-size -> 200 [ImageSummary]; `manifests` is of another kind of image store."""
        filters = parse_filters(request.query.get("filters"), LIST_FILTERS)
        if request.query.get("filter"):  # before 1.25: a reference
            filters = Filters({**filters.values, "reference": (request.query.get("filter"),)})
        shown = self.rows(version_of(request), filters, everything=flag(request, "all"))
        if flag(request, "shared-size"):
            shared = shapes.shared_bytes(self._images.list())
            for row in shown:
                row["SharedSize"] = shared[row["Id"]]
        return Response.of(200, shown)

    def rows(self, version: Version, filters: Filters, *, everything: bool) -> list[dict[str, Any]]:
        found = select(self._images.list(), filters, self._images.get, self._clock.now_s(), everything=everything)
        return [shapes.summary(one.image, version, tags=one.tags, digests=one.digests) for one in found]

    def usage(self, version: Version) -> tuple[list[dict[str, Any]], int]:
        """For `docker system df`: the images with their users and shared bytes, and what all layers hold."""
        present = self._images.list()
        rows, shared = self.rows(version, Filters(), everything=False), shapes.shared_bytes(present)
        users = [entry.object().spec["image_id"] for entry in self._store.entries(containers.TYPE)]
        for row in rows:
            row |= {"SharedSize": shared[row["Id"]], "Containers": users.count(row["Id"])}
        return rows, shapes.layers_bytes(present)

    async def inspect(self, request: Request) -> Answer:
        """?platform -> 200 ImageInspect"""
        image = self._images.get(request.params["name"])
        self._check_platform(request, image)
        config = await self._images.config(image)
        return Response.of(200, shapes.inspection(image, config, version_of(request)))

    async def history(self, request: Request) -> Answer:
        """?platform -> 200 [HistoryResponseItem]"""
        image = self._images.get(request.params["name"])
        self._check_platform(request, image)
        return Response.of(200, shapes.history(image, await self._images.config(image), self._images.find))

    def _check_platform(self, request: Request, image: Object) -> None:
        """An image is for one platform: another one of it is not here.  Raises NotFound, Malformed."""
        asked = asked_platform(request)
        if asked is None:
            return
        if flag(request, "manifests"):
            raise Malformed("conflicting options: manifests and platform options cannot both be set")
        there = parse_platform(image.spec["platform"])
        if not asked.fits(there):
            name = request.params["name"]
            said = f"image with reference {name} was found but does not provide the specified platform ({asked})"
            raise NotFound(said, kind="Image", name=name)
