"""POST /networks/{id}/connect and /disconnect: of containers that run, and of those that do not.

What a container is connected to is kept in its details, for its next start; where it runs, its sandbox is plugged in or
out as well, and its published ports follow to where it is then reached.

Source: Docker Engine API 1.50, "NetworkConnect"; messages of moby daemon/container_operations.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import CloudError, Conflict, Forbidden, Invalid, NotFound
from coracle.core.object import Object
from coracle.docker.bodies import Fields, body_of
from coracle.docker.containers.details import is_docker, life
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.networks import modes
from coracle.docker.networks.endpoints import endpoint_of, read_endpoint
from coracle.docker.networks.known import KnownNetworks
from coracle.docker.networks.show import driver_of
from coracle.docker.ports import Ports
from coracle.engine.containers import Containers
from coracle.engine.sandboxes import Sandboxes
from coracle.web.messages import Answer, Request, Response

Endpoints = dict[str, Any]  # details["NetworkingConfig"]["EndpointsConfig"]


@dataclass(frozen=True, slots=True)
class Wires:
    """Where a container can be plugged in, what is plugged, and what follows."""

    known: KnownNetworks
    sandboxes: Sandboxes
    ports: Ports


class Connect:
    def __init__(self, finder: Finder, containers: Containers, wires: Wires, events: Events) -> None:
        self._finder, self._containers, self._events = finder, containers, events
        self._known, self._sandboxes, self._ports = wires.known, wires.sandboxes, wires.ports

    def routes(self) -> Iterable[Route]:
        return (
            Route("POST", "/networks/{id}/connect", self.connect),
            Route("POST", "/networks/{id}/disconnect", self.disconnect),
        )

    async def connect(self, request: Request) -> Answer:
        body = Fields(body_of(request))
        network = self._known.get(request.params["id"])
        container = self._finder.get(body.text("Container"))
        name = network.spec["name"]
        _check_mode(container)
        before = _endpoints(container)
        _check_joins(container, name, before)
        sandbox = self._sandboxes.find(container.meta.name)
        if sandbox is not None and name in before:
            said = f"endpoint with name {container.spec['name']} already exists in network {name}"
            raise Forbidden(said, kind="Endpoint", name=name)
        kept = read_endpoint(body.fields("EndpointConfig"), name, self._known.get)
        await self._keep(container, lambda now: {**now, name: kept})
        if sandbox is not None and name != modes.NONE:
            try:
                await self._sandboxes.connect(sandbox.meta.name, endpoint_of(name, kept, self._known.get))
            except CloudError as error:
                if not isinstance(error, NotFound) or error.kind != "Sandbox":  # it has ended meanwhile
                    await self._keep(container, lambda now: _without(now, name))
                    raise
            await self._follow(container.meta.name)
        await self._tell("connect", network, container)
        return Response(200)

    async def disconnect(self, request: Request) -> Answer:
        body = Fields(body_of(request))
        network = self._known.get(request.params["id"])
        container = self._finder.get(body.text("Container"))
        name = network.spec["name"]
        _check_mode(container)
        if modes.HOST in (name, _mode(container)):
            said = "cannot disconnect container from host network - container was created in host network mode"
            raise Invalid(message=said)
        if name not in _endpoints(container):
            said = f"container {container.meta.name} is not connected to the network {name}"
            raise Conflict(said, kind="Endpoint", name=name)
        if self._sandboxes.find(container.meta.name) is not None:
            try:
                await self._sandboxes.disconnect(container.meta.name, name)
            except NotFound:
                pass  # it has not been plugged in, or ends just now
            await self._follow(container.meta.name)
        await self._keep(container, lambda now: _without(now, name))
        await self._tell("disconnect", network, container)
        return Response(200)

    # -- how -----------------------------------------------------------------------------------------------------

    async def _keep(self, container: Object, change: Any) -> None:
        def changed(details: dict[str, Any]) -> dict[str, Any]:
            networking = details.get("NetworkingConfig") or {}
            now = change(networking.get("EndpointsConfig") or {})
            return {**details, "NetworkingConfig": {**networking, "EndpointsConfig": now}}

        await self._containers.respec(container.meta.name, changed)

    async def _follow(self, id: str) -> None:
        """Its ports lead to where it is now; they come and go with a way to the outside."""
        container, sandbox = self._containers.get(id), self._sandboxes.find(id)
        if sandbox is None:
            return
        bound = life(container).get("Ports") or {}
        if bound and self._ports.is_reached(sandbox):
            await self._ports.follow(container, sandbox, bound)
            return
        await self._ports.release(id)
        news = await self._ports.publish(container, sandbox)
        kept = {"Ports": news} if any(news.values()) else {}
        await self._containers.note(id, lambda now: {**{k: v for k, v in now.items() if k != "Ports"}, **kept})

    async def _tell(self, action: str, network: Object, container: Object) -> None:
        attributes = {"container": container.meta.name, "name": network.spec["name"], "type": driver_of(network)}
        await self._events.publish("network", action, network.meta.name, attributes)


def _check_mode(container: Object) -> None:
    """Raises Forbidden (a pod's), Invalid (its network is somebody else's)."""
    if not is_docker(container):
        said = f"container {container.meta.name} is of a pod: its network is Kubernetes'"
        raise Forbidden(said, kind="Container", name=container.meta.name)
    mode = _mode(container)
    if modes.container_of(mode):
        raise Invalid(
            message="container sharing network namespace with another container or host cannot be connected to any "
            "other network"
        )


def _check_joins(container: Object, network: str, present: Mapping[str, Any]) -> None:
    """Raises Invalid in Docker's words."""
    if network == modes.HOST and _mode(container) != modes.HOST:
        raise Invalid(
            message="cannot connect container to host network - container must be created in host network mode"
        )
    if _mode(container) == modes.HOST:
        raise Invalid(
            message="container sharing network namespace with another container or host cannot be connected to any "
            "other network"
        )
    if present.keys() - {network} and modes.NONE in (network, *present):
        raise Invalid(
            message="container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )


def _mode(container: Object) -> str:
    return modes.normal(((container.spec["details"] or {}).get("HostConfig") or {}).get("NetworkMode") or "")


def _endpoints(container: Object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (container.spec["details"].get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    return found


def _without(endpoints: Mapping[str, Any], name: str) -> Endpoints:
    return {network: kept for network, kept in endpoints.items() if network != name}
