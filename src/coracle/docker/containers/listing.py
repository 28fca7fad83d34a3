"""GET /containers/json: what `docker ps` shows.

Source: Docker Engine API 1.50, "ContainerList"; moby daemon/list.go for the filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from coracle.core.clock import Clock
from coracle.core.object import Object
from coracle.docker.bodies import flag, number
from coracle.docker.containers import details, states
from coracle.docker.containers.selection import FILTERS, Selection
from coracle.docker.containers.views import Views
from coracle.docker.door import Route
from coracle.docker.filters import parse_filters
from coracle.docker.mounts import shown
from coracle.docker.versions import Version, version_of
from coracle.engine.containers import Containers
from coracle.web.messages import Answer, Request, Response

Row = dict[str, Any]


class Listing:
    def __init__(self, containers: Containers, selection: Selection, views: Views, clock: Clock) -> None:
        self._containers, self._selection = containers, selection
        self._views, self._clock = views, clock

    def routes(self) -> Iterable[Route]:
        return (Route("GET", "/containers/json", self.list),)

    async def list(self, request: Request) -> Answer:
        filters = parse_filters(request.query.get("filters"), FILTERS)
        limit = number(request, "limit", 0) or 0
        every = flag(request, "all") or limit > 0 or self._selection.wants_all(filters)
        records = sorted(self._containers.list(), key=details.created_s, reverse=True)
        chosen = [record for record in self._selection.of(records, filters) if every or states.is_alive(record)]
        chosen = chosen[:limit] if limit > 0 else chosen
        return Response.of(200, await self._rows(chosen, version_of(request), sizes=flag(request, "size")))

    async def everything(self, version: Version) -> Sequence[Row]:
        """All containers with their sizes, the youngest first."""
        records = sorted(self._containers.list(), key=details.created_s, reverse=True)
        return await self._rows(records, version, sizes=True)

    async def _rows(self, records: Sequence[Object], version: Version, *, sizes: bool) -> Sequence[Row]:
        now_s = self._clock.now_s()
        images = {(one.spec["image"], one.spec["image_id"]): one for one in records}
        names = {key: self._selection.image_name(one) for key, one in images.items()}
        rows = [
            {**self._row(one, version, now_s), "Image": names[one.spec["image"], one.spec["image_id"]]}
            for one in records
        ]
        if sizes:
            for row, record in zip(rows, records, strict=True):
                row.update(await self._views.sizes(record))
        return rows

    def _row(self, record: Object, version: Version, now_s: float) -> dict[str, Any]:
        settings = self._views.network_settings(record, version)
        host = {"NetworkMode": details.network_mode(record)}
        if not details.is_docker(record):
            host = {"NetworkMode": f"container:{record.spec['sandbox']}"}
        return {
            "Id": record.meta.name,
            "Names": [f"/{record.spec['name']}"],
            "Image": record.spec["image"],
            "ImageID": record.spec["image_id"],
            "Command": command(record.spec["argv"] or ()),
            "Created": int(details.created_s(record)),
            "Ports": ports(settings["Ports"], details.config(record).get("ExposedPorts") or {}, record),
            "Labels": dict(record.meta.labels),
            "State": states.state(record),
            "Status": states.sentence(record, now_s),
            "HostConfig": host,
            "NetworkSettings": {"Networks": settings["Networks"]},
            "Mounts": shown(record),
        }


def command(argv: Iterable[str]) -> str:
    """ "sh -c 'echo hi'": words with spaces in quotes, but for the first."""
    first, *rest = tuple(argv) or ("",)
    return " ".join([first, *(f"'{word}'" if " " in word else word for word in rest)])


def ports(bound: dict[str, Any], exposed: Iterable[str], record: Object) -> Sequence[Row]:
    """`Ports`, in the order of the container's ports: bound ones with their host's port, others without."""
    rows: list[dict[str, Any]] = []
    if not states.is_alive(record):
        return rows
    for port in sorted({*bound, *exposed}, key=_port_order):
        number, _, protocol = port.partition("/")
        own = {"PrivatePort": int(number), "Type": protocol or "tcp"}
        rows += [
            {"IP": one.get("HostIp", ""), **own, "PublicPort": int(one["HostPort"])} for one in bound.get(port) or ()
        ] or [own]
    return rows


def _port_order(port: str) -> tuple[int, str]:
    number, _, protocol = port.partition("/")
    return int(number), protocol
