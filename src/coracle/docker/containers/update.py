"""POST /containers/{id}/update: other limits, another restart policy.

Source: Docker Engine API 1.50, "ContainerUpdate"; moby container/container_unix.go (UpdateContainer).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.errors import Conflict, Forbidden, Malformed
from coracle.core.object import Object
from coracle.docker.bodies import Fields, body_of
from coracle.docker.containers import details
from coracle.docker.containers.finding import Finder
from coracle.docker.containers.hostconfig import read_restart_policy
from coracle.docker.containers.limits import check_limits, discarded, read_limits, resources
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.engine.containers import Containers
from coracle.web.messages import Answer, Request, Response


class Update:
    def __init__(self, finder: Finder, containers: Containers, events: Events) -> None:
        self._finder, self._containers, self._events = finder, containers, events

    def routes(self) -> Iterable[Route]:
        return (Route("POST", "/containers/{id}/update", self.update),)

    async def update(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        body = Fields(body_of(request))
        if not details.is_docker(record):
            raise Forbidden(f"container {record.spec['name']} belongs to {record.spec['owner']}, which sets its limits")
        changes = changed(record, body)
        if not changes:
            return Response.of(200, {"Warnings": None})
        host = {**details.host_config(record), **changes}
        id = record.meta.name
        if changes.keys() - {"RestartPolicy"}:
            await self._containers.update(id, resources(host))
        record = await self._containers.respec(id, lambda now: {**now, "HostConfig": {**now["HostConfig"], **changes}})
        await self._events.publish_container("update", record)
        return Response.of(200, {"Warnings": discarded(changes, self._containers.lacking) or None})


def changed(record: Object, body: Fields) -> dict[str, Any]:
    """The fields of HostConfig that the request changes; zero and absent leave them.  Raises Malformed, Conflict."""
    changes = read_limits(body)
    if body.number("PidsLimit") == -1:
        changes["PidsLimit"] = 0
    before = details.host_config(record)
    check_limits(changes, update=True)
    _check_together(before, changes)
    if "RestartPolicy" in body and body.fields("RestartPolicy").text("Name"):
        policy = read_restart_policy(body.fields("RestartPolicy"))
        if before.get("AutoRemove") and policy["Name"] != "no":
            said = "Restart policy cannot be updated because AutoRemove is enabled for the container"
            raise Conflict(said, kind="Container")
        changes["RestartPolicy"] = policy
    return {name: value for name, value in changes.items() if before.get(name) != value}


def _check_together(before: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    if changes.get("NanoCpus") and (before.get("CpuPeriod") or before.get("CpuQuota")):
        raise Malformed("Conflicting options: Nano CPUs cannot be updated as CPU Period or Quota has already been set")
    if before.get("NanoCpus") and (changes.get("CpuPeriod") or changes.get("CpuQuota")):
        raise Malformed("Conflicting options: CPU Period or Quota cannot be updated as NanoCPUs has already been set")
    memory = changes.get("Memory", before.get("Memory", 0))
    swap = changes.get("MemorySwap", before.get("MemorySwap", 0))
    if 0 < swap < memory:
        raise Malformed(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
