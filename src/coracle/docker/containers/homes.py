"""The network identity that a container has while it runs: its sandbox, and the ports published from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coracle.core.errors import CloudError, Conflict
from coracle.core.object import Object
from coracle.docker.containers import details, places
from coracle.docker.events import Events
from coracle.docker.networks.endpoints import Lookup, endpoints_of
from coracle.docker.networks.links import Links
from coracle.docker.networks.show import driver_of
from coracle.docker.ports import Ports
from coracle.engine.sandboxes import Sandboxes


class Homes:
    def __init__(self, sandboxes: Sandboxes, ports: Ports, links: Links, lookup: Lookup, events: Events) -> None:
        self._sandboxes, self._ports, self._links = sandboxes, ports, links
        self._lookup, self._events = lookup, events

    async def enter(self, record: Object) -> Mapping[str, Any]:
        """Make what the container needs to start; returns its published ports, for status.details.

        Raises: NotFound (a network, what it links to), Conflict (whose sandbox it shares, or what it links to, does not
                run), Exhausted, AlreadyExists.
        """
        if not places.has_own_sandbox(record):
            self._check_shared(record)
            return {}
        endpoints = endpoints_of(record.spec["details"], self._lookup)
        spec = places.sandbox_spec(record, endpoints, self._host_gateway())
        spec = replace(spec, hosts=(*spec.hosts, *self._links.hosts(record)))
        sandbox = await self._sandboxes.ensure(spec)
        bound = await self._ports.publish(record, sandbox)
        await self._tell("connect", record)
        return bound if any(bound.values()) else {}

    async def leave(self, record: Object) -> None:
        """Idempotent, and cheap where there is nothing."""
        if places.has_own_sandbox(record) and self._sandboxes.find(record.meta.name) is not None:
            await self._ports.release(record.meta.name)
            await self._sandboxes.remove(record.meta.name)
            await self._tell("disconnect", record)

    async def restore(self, record: Object) -> None:
        """Publish the ports of one that has run on while the daemon was away.  Raises as `enter`."""
        sandbox = self._sandboxes.find(record.meta.name)
        bound = details.life(record).get("Ports")
        if sandbox is not None and bound:
            await self._ports.follow(record, sandbox, bound)

    async def _tell(self, action: str, record: Object) -> None:
        """That it came into its networks, or went."""
        for name in sorted(details.endpoints_config(record)):
            try:
                network = self._lookup(name)
            except CloudError:
                continue  # it has gone meanwhile
            attributes = {"container": record.meta.name, "name": name, "type": driver_of(network)}
            await self._events.publish("network", action, network.meta.name, attributes)

    def _check_shared(self, record: Object) -> None:
        if self._sandboxes.find(record.spec["sandbox"]) is None:
            other = places.names_another(record)
            raise Conflict(f"cannot join network of a non running container: {other}", kind="Container", name=other)

    def _host_gateway(self) -> str:
        try:
            return str(self._lookup("bridge").spec["gateway"])
        except CloudError:
            return ""
