"""GET /system/df: what takes how much of the disk.

Source: Docker Engine API 1.50, "SystemDataUsage".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coracle.core.errors import Malformed, NotFound
from coracle.docker.build.cache import CacheView
from coracle.docker.containers.listing import Listing as ContainerListing
from coracle.docker.door import Route
from coracle.docker.images.listing import Listing as ImageListing
from coracle.docker.versions import Version, version_of
from coracle.docker.volumes.area import show
from coracle.engine.volumes import Volumes
from coracle.web.messages import Answer, Request, Response

TYPES = ("container", "image", "volume", "build-cache")


class DiskUsage:
    def __init__(self, images: ImageListing, containers: ContainerListing, volumes: Volumes, cache: CacheView) -> None:
        self._images, self._containers, self._volumes, self._cache = images, containers, volumes, cache

    def routes(self) -> Iterable[Route]:
        return (Route("GET", "/system/df", self.usage),)

    async def usage(self, request: Request) -> Answer:
        """?type (several) -> {LayersSize, Images, Containers, Volumes, BuildCache}, those of the types asked for."""
        version = version_of(request)
        asked = request.query.all("type") if version >= (1, 42) else []
        for type in asked:
            if type not in TYPES:
                raise Malformed(f"unknown object type: {type[:40]}")
        wanted = asked or TYPES
        found: dict[str, Any] = {}
        if "image" in wanted:
            found["Images"], found["LayersSize"] = self._images.usage(version)
        if "container" in wanted:
            found["Containers"] = await self._containers.everything(version)
        if "volume" in wanted:
            found["Volumes"] = await self._volume_rows()
        if "build-cache" in wanted:
            found["BuildCache"] = await self._cache.rows()
            if version < Version(1, 42):
                found["BuilderSize"] = sum(row["Size"] for row in found["BuildCache"])
        return Response.of(200, found)

    async def _volume_rows(self) -> list[dict[str, Any]]:
        rows = []
        for volume in self._volumes.list():
            name = volume.meta.name
            try:
                usage = {"Size": await self._volumes.size_bytes(name), "RefCount": len(self._volumes.users(name))}
            except NotFound:
                continue  # removed while we looked
            rows.append({**show(volume), "UsageData": usage})
        return rows
