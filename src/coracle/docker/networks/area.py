"""Networks' part of the door: list, create, inspect, remove, prune.

Source: Docker Engine API 1.50, "Network"; moby daemon/network.go for what is refused, and how.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coracle.core.clock import Clock, from_rfc3339
from coracle.core.errors import AlreadyExists, CloudError, Conflict, Forbidden, Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.agos import parse_ago
from coracle.docker.bodies import Fields, body_of, flag
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.filters import Filters, parse_filters
from coracle.docker.networks.known import KnownNetworks
from coracle.docker.networks.requests import read_create
from coracle.docker.networks.settings import endpoint_id
from coracle.docker.networks.show import driver_of, members, show
from coracle.engine.containers import Containers
from coracle.engine.networks import PREDEFINED, Networks
from coracle.web.messages import Answer, Request, Response

_LIST_FILTERS = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type")
_PRUNE_FILTERS = ("label", "label!", "until")
_BUILTIN = (*PREDEFINED, "host", "none")
_TYPES, _SCOPES = ("builtin", "custom"), ("local", "global", "swarm")


class NetworksArea:
    """`known`: what clients see; `networks`: what the engine has."""

    def __init__(
        self, networks: Networks, known: KnownNetworks, containers: Containers, events: Events, clock: Clock
    ) -> None:
        self._networks, self._known, self._containers = networks, known, containers
        self._events, self._clock = events, clock
        self._pruning = False

    def routes(self) -> Iterable[Route]:
        return (
            Route("GET", "/networks", self.list),
            Route("POST", "/networks/create", self.create),
            Route("POST", "/networks/prune", self.prune),
            Route("GET", "/networks/{id}", self.inspect),
            Route("DELETE", "/networks/{id}", self.remove),
        )

    async def list(self, request: Request) -> Answer:
        filters = parse_filters(request.query.get("filters"), _LIST_FILTERS)
        _check_words(filters)
        return Response.of(200, [show(network) for network in self._known.list() if self._is_wanted(network, filters)])

    async def create(self, request: Request) -> Answer:
        spec = read_create(Fields(body_of(request)))
        try:
            network = await self._networks.create(spec)
        except AlreadyExists as error:
            named = error.name.startswith("network-name/")
            said = f"network with name {spec.name} already exists" if named else f"cannot create network: {error}"
            raise Conflict(said, kind="Network", name=spec.name) from error
        await self._tell("create", network)
        return Response.of(201, {"Id": network.meta.name, "Warning": ""})

    async def inspect(self, request: Request) -> Answer:
        scope = request.query.get("scope")
        network = self._known.get(request.params["id"])
        if scope not in ("", "local"):
            raise NotFound(f"network {request.params['id']} not found", kind="Network", name=request.params["id"])
        shown = show(network, self._members(network))
        return Response.of(200, shown | {"Services": {}} if flag(request, "verbose") else shown)

    async def remove(self, request: Request) -> Answer:
        network = self._known.get(request.params["id"])
        name = network.spec["name"]
        if name in _BUILTIN:
            raise Forbidden(f"{name} is a pre-defined network and cannot be removed", kind="Network", name=name)
        await self._remove(network)
        return Response(204)

    async def prune(self, request: Request) -> Answer:
        filters = parse_filters(request.query.get("filters"), _PRUNE_FILTERS)
        now_s = self._clock.now_s()
        before_s = min((parse_ago(text, now_s) for text in filters.get("until")), default=float("inf"))
        if self._pruning:
            raise Conflict("a prune operation is already running", kind="Network")
        self._pruning = True
        try:
            deleted = [network async for network in self._pruned(filters, before_s)]
        finally:
            self._pruning = False
        await self._events.publish("network", "prune", "", {"reclaimed": "0"})
        return Response.of(200, {"NetworksDeleted": deleted or None})

    # -- how -----------------------------------------------------------------------------------------------------

    async def _pruned(self, filters: Filters, before_s: float) -> Any:
        for network in self._networks.list():
            if (
                network.spec["name"] not in PREDEFINED
                and filters.allows_labels(network.meta.labels)
                and from_rfc3339(network.meta.created) < before_s
            ):
                try:
                    await self._remove(network)
                except CloudError:
                    continue  # in use
                yield network.spec["name"]

    async def _remove(self, network: Object) -> None:
        """Raises Forbidden in Docker's words where containers are connected; NotFound."""
        name = network.spec["name"]
        if not self._networks.members(name):
            try:
                await self._networks.remove(network.meta.name)
                await self._tell("destroy", network)
                return
            except Forbidden:
                pass  # somebody was quicker
        held = ", ".join(
            f'name:"{one["Name"]}" id:"{one["EndpointID"][:12]}"' for one in self._members(network).values()
        )
        said = f"error while removing network: network {name} has active endpoints ({held})"
        raise Forbidden(said, kind="Network", name=name)

    def _members(self, network: Object) -> Mapping[str, Any]:
        name = network.spec["name"]
        if name == "host":
            return {one.meta.name: _on_host(one) for one in self._on_host()}
        sandboxes = self._networks.members(name)
        return members(name, [(one, self._containers.find(one.meta.name)) for one in sandboxes])

    def _on_host(self) -> Sequence[Object]:
        return [
            record
            for record in self._containers.list()
            if record.status["state"] == "running"
            and ((record.spec.get("details") or {}).get("HostConfig") or {}).get("NetworkMode") == "host"
        ]

    def _is_wanted(self, network: Object, filters: Filters) -> bool:
        name, builtin = network.spec["name"], network.spec["name"] in _BUILTIN
        dangling = filters.flag("dangling")
        return (
            filters.allows_match("name", name)
            and filters.allows_match("id", network.meta.name)
            and filters.allows("driver", driver_of(network))
            and filters.allows("scope", "local")
            and filters.allows("type", "builtin" if builtin else "custom")
            and filters.allows_labels(network.meta.labels)
            and (dangling is None or dangling == (not builtin and not self._networks.members(name)))
        )

    async def _tell(self, action: str, network: Object) -> None:
        attributes = {"name": network.spec["name"], "type": driver_of(network)}
        await self._events.publish("network", action, network.meta.name, attributes)


def _on_host(container: Object) -> dict[str, str]:
    name, id = container.spec["name"], endpoint_id(container, "host")
    return {"Name": name, "EndpointID": id, "MacAddress": "", "IPv4Address": "", "IPv6Address": ""}


def _check_words(filters: Filters) -> None:
    for name, words in (("type", _TYPES), ("scope", _SCOPES)):
        for text in filters.get(name):
            if text not in words:
                raise Malformed(f"invalid filter '{name}={text[:40]}'")
