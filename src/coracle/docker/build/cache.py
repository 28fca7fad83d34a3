"""The build cache as Docker shows it: POST /build/prune, and its part of GET /system/df.

Source: Docker Engine API 1.50, "BuildPrune", "BuildCache"; `docker builder prune`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.clock import Clock, from_rfc3339
from coracle.core.object import Object
from coracle.docker.agos import parse_ago
from coracle.docker.bodies import flag, number
from coracle.docker.filters import Filters, parse_filters
from coracle.engine.builds.service import Builds
from coracle.web.messages import Answer, Request, Response

_FILTERS = ("id", "parent", "type", "description", "inuse", "shared", "private", "until", "unused-for")


class CacheView:
    def __init__(self, builds: Builds, clock: Clock) -> None:
        self._builds, self._clock = builds, clock

    async def rows(self) -> list[dict[str, Any]]:
        """BuildCache of GET /system/df."""
        used = self._builds.layers_of_images()
        return [_row(record, used) for record in self._builds.cache.list()]

    async def prune(self, request: Request) -> Answer:
        """?all&filters&keep-storage -> {CachesDeleted, SpaceReclaimed}"""
        filters = parse_filters(request.query.get("filters"), _FILTERS)
        keep = number(request, "keep-storage") or number(request, "reserved-space") or 0
        every = flag(request, "all")
        chosen = [one for one in self._builds.cache.list() if self._wanted(one, filters)]
        deleted, freed = await self._builds.prune(chosen, keep_bytes=keep, mounts=every or not filters.values)
        return Response.of(200, {"CachesDeleted": deleted or None, "SpaceReclaimed": freed})

    def _wanted(self, record: Object, filters: Filters) -> bool:
        row = _row(record, set())
        until = (*filters.get("until"), *filters.get("unused-for"))
        used_s = from_rfc3339(record.status["used_at"])
        return (
            all(used_s < parse_ago(text, self._clock.now_s()) for text in until)
            and filters.allows_match("id", row["ID"])
            and filters.allows("parent", row["Parent"])
            and filters.allows("type", row["Type"])
            and filters.allows_match("description", row["Description"])
            and _agrees(filters, "inuse", row["InUse"])
            and _agrees(filters, "shared", row["Shared"])
            and _agrees(filters, "private", not row["Shared"])
        )


def _agrees(filters: Filters, name: str, value: bool) -> bool:
    wanted = filters.flag(name)
    return wanted is None or wanted == value


def _row(record: Object, used: set[str]) -> dict[str, Any]:
    spec: Mapping[str, Any] = record.spec
    layers: Sequence[Mapping[str, Any]] = spec["layers"]
    size = int(spec["size_bytes"])
    shared = bool(size and layers and layers[-1]["digest"] in used)
    return {
        "ID": record.meta.name[:25],
        "Parent": str(spec["parent"]).removeprefix("sha256:")[:25],
        "Parents": [str(spec["parent"]).removeprefix("sha256:")[:25]] if spec["parent"] else [],
        "Type": {"local": "source.local", "exec": "regular"}.get(spec["source"], "internal"),
        "Description": spec["text"],
        "InUse": False,
        "Shared": shared,
        "Size": size,
        "CreatedAt": record.meta.created,
        "LastUsedAt": record.status["used_at"],
        "UsageCount": 1 + int(record.status["uses"]),
    }
