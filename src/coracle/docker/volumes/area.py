"""Volumes' part of the door: create, list, inspect, remove, prune.

Source: Docker Engine API 1.50, "Volume"; moby volume/service.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from coracle.core.errors import Conflict, Malformed, NotFound, Unavailable
from coracle.core.object import Object
from coracle.docker.bodies import Fields, body_of, flag
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.filters import Filters, parse_filters
from coracle.docker.versions import Version, version_of
from coracle.docker.volumes.points import ANONYMOUS_LABEL
from coracle.engine.volumes import Volumes
from coracle.web.messages import Answer, Request, Response

_LIST_FILTERS = ("dangling", "driver", "label", "name")
_PRUNE_FILTERS = ("all", "label", "label!")


class VolumesArea:
    def __init__(self, volumes: Volumes, events: Events) -> None:
        self._volumes, self._events = volumes, events
        self._pruning = False

    def routes(self) -> Iterable[Route]:
        return (
            Route("GET", "/volumes", self.list),
            Route("POST", "/volumes/create", self.create),
            Route("POST", "/volumes/prune", self.prune),
            Route("GET", "/volumes/{name}", self.inspect),
            Route("PUT", "/volumes/{name}", self.update),
            Route("DELETE", "/volumes/{name}", self.remove),
        )

    async def list(self, request: Request) -> Answer:
        filters = parse_filters(request.query.get("filters"), _LIST_FILTERS)
        dangling = filters.flag("dangling")
        used = self._volumes.in_use_names() if dangling is not None else set()
        found = [
            show(volume)
            for volume in self._volumes.list()
            if filters.allows_match("name", volume.meta.name)
            and filters.allows("driver", volume.spec["driver"])
            and filters.allows_labels(volume.meta.labels)
            and (dangling is None or dangling == (volume.meta.name not in used))
        ]
        return Response.of(200, {"Volumes": found, "Warnings": None})

    async def create(self, request: Request) -> Answer:
        fields = Fields(body_of(request))
        if "ClusterVolumeSpec" in fields:
            raise Unavailable("this node is not a swarm manager, and keeps no cluster volumes")
        name, driver = fields.text("Name"), fields.text("Driver") or "local"
        labels, options = fields.text_map("Labels"), fields.text_map("DriverOpts")
        if not name:
            name = secrets.token_hex(32)
            labels[ANONYMOUS_LABEL] = ""
        new = self._volumes.find(name) is None
        volume = await self._volumes.create(name, driver=driver, options=options, labels=labels)
        if new:
            await self._events.publish("volume", "create", name, {"driver": driver})
        return Response.of(201, show(volume))

    async def inspect(self, request: Request) -> Answer:
        return Response.of(200, show(self._volumes.get(request.params["name"])))

    async def update(self, request: Request) -> Answer:
        self._volumes.get(request.params["name"])
        raise Malformed("only cluster volumes can be updated, and this is none")

    async def remove(self, request: Request) -> Answer:
        name = request.params["name"]
        if await self._volumes.remove(name, force=flag(request, "force")):
            await self._events.publish("volume", "destroy", name, {"driver": "local"})
        return Response(204)

    async def prune(self, request: Request) -> Answer:
        filters = parse_filters(request.query.get("filters"), _PRUNE_FILTERS)
        every = filters.flag("all", False) or version_of(request) < Version(1, 42)
        if self._pruning:
            raise Conflict("a prune operation is already running", kind="Volume")
        self._pruning = True
        try:
            return Response.of(200, await self._prune(filters, every=every))
        finally:
            self._pruning = False

    async def _prune(self, filters: Filters, *, every: bool) -> dict[str, Any]:
        deleted, freed_bytes = [], 0
        for name in self._unused(filters, every=every):
            try:
                size_bytes = await self._volumes.size_bytes(name)
            except NotFound:
                continue  # somebody else removed it
            if await self._volumes.abandon(name):
                deleted.append(name)
                freed_bytes += size_bytes
                await self._events.publish("volume", "destroy", name, {"driver": "local"})
        await self._events.publish("volume", "prune", "", {"reclaimed": str(freed_bytes)})
        return {"VolumesDeleted": deleted, "SpaceReclaimed": freed_bytes}

    def _unused(self, filters: Filters, *, every: bool) -> Sequence[str]:
        """Names of what a prune takes; never one with options: it would give back nothing."""
        used = self._volumes.in_use_names()
        return [
            volume.meta.name
            for volume in self._volumes.list()
            if volume.meta.name not in used
            and not volume.spec["options"]
            and (every or ANONYMOUS_LABEL in volume.meta.labels)
            and filters.allows_labels(volume.meta.labels)
        ]


def show(volume: Object) -> dict[str, Any]:
    """A volume as Docker shows it."""
    return {
        "CreatedAt": volume.meta.created,
        "Driver": volume.spec["driver"],
        "Labels": dict(volume.meta.labels) or None,
        "Mountpoint": volume.spec["path"],
        "Name": volume.meta.name,
        "Options": dict(volume.spec["options"]) or None,
        "Scope": "local",
    }
