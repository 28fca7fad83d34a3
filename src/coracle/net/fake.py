"""A network of the imagination: keeps what it was told, and answers where a connection would arrive.

Passes `tests/suites/net_driver_suite.py`, as every driver.  Records what it was asked in `calls`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from coracle.core.errors import Broken, Exhausted
from coracle.net.api import Forward, Network, Port, Target, Transport

LOOPBACK = IPv4Address("127.0.0.1")
HOST = IPv4Address("192.0.2.2")


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a connection ends: the plug and the port there; nowhere is `refused`, or no answer at all (`dropped`)."""

    target: Target | None
    dropped: bool = False

    @property
    def refused(self) -> bool:
        return self.target is None and not self.dropped


class FakeNet:
    """`host` are the node's own addresses; `links` how many plugs the kernel has room for."""

    def __init__(self, host: Sequence[IPv4Address] = (HOST,), links: int = 1_000_000) -> None:
        self.host, self.links = (*host, LOOPBACK), links
        self.networks: dict[str, Network] = {}
        self.namespaces: set[str] = set()
        self.ports: dict[str, Port] = {}
        self.forwards: list[Forward] = []
        self.calls: list[tuple[str, str]] = []
        self._pins: dict[tuple[IPv4Address, str], Target] = {}
        self._turn = 0

    async def ensure_network(self, network: Network) -> None:
        self.calls.append(("ensure_network", network.name))
        self.networks[network.name] = network

    async def remove_network(self, network: Network) -> None:
        self.calls.append(("remove_network", network.name))
        self.networks.pop(network.name, None)

    async def make_netns(self, path: str, users_path: str = "") -> None:
        self.calls.append(("make_netns", path))
        self.namespaces.add(path)

    async def drop_netns(self, path: str, ports: Sequence[Port] = ()) -> None:
        self.calls.append(("drop_netns", path))
        self.namespaces.discard(path)
        for port in ports:
            self.ports.pop(port.id, None)
        for port in [port for port in self.ports.values() if port.netns_path == path]:
            del self.ports[port.id]

    async def plug(self, network: Network, port: Port) -> None:
        self.calls.append(("plug", port.id))
        if network.name not in self.networks:
            raise Broken(f"network {network.name} has no bridge", kind="Network", name=network.name)
        if port.netns_path not in self.namespaces:
            raise Broken(f"no network namespace at {port.netns_path}", kind="Port", name=port.id)
        if port.id not in self.ports and len(self.ports) >= self.links:
            raise Exhausted("no links left", kind="Port", name=port.id)
        self.ports[port.id] = port

    async def unplug(self, port: Port) -> None:
        self.calls.append(("unplug", port.id))
        self.ports.pop(port.id, None)

    async def steer(self, forwards: Sequence[Forward]) -> None:
        self.calls.append(("steer", str(len(forwards))))
        self.forwards = list(forwards)
        targets = {forward.id: forward.targets for forward in forwards}
        self._pins = {
            (client, id): target for (client, id), target in self._pins.items() if target in targets.get(id, ())
        }

    async def purge(self) -> None:
        self.calls.append(("purge", ""))
        for state in (self.networks, self.namespaces, self.ports, self.forwards, self._pins):
            state.clear()

    # -- for tests -----------------------------------------------------------------------------------------------

    def arrival(
        self, address: IPv4Address, port: int, transport: Transport = "TCP", client: IPv4Address = HOST
    ) -> Arrival:
        """Where a new connection of `client` to `address`:`port` arrives now; each call is the next connection."""
        forward = next((f for f in self.forwards if self._matches(f, address, port, transport)), None)
        if forward is None:
            plugged = any(plug.address == address for plug in self.ports.values())
            return Arrival(Target(address, port) if plugged else None)
        if client not in self.host and not _admitted(client, forward):
            return Arrival(None, dropped=True)
        return Arrival(self._chosen(forward, client))

    def reachable(self, address: str, port: int, transport: Transport = "TCP") -> bool:
        """Whether a connection from the host would arrive at a plug."""
        target = self.arrival(IPv4Address(address), port, transport).target
        return target is not None and any(plug.address == target.address for plug in self.ports.values())

    def _matches(self, forward: Forward, address: IPv4Address, port: int, transport: Transport) -> bool:
        if (forward.transport, forward.port) != (transport, port):
            return False
        if forward.address is not None:
            return forward.address == address
        return address == LOOPBACK if forward.loopback_only else address in self.host

    def _chosen(self, forward: Forward, client: IPv4Address) -> Target | None:
        if not forward.targets:
            return None
        pinned = self._pins.get((client, forward.id)) if forward.affinity_s is not None else None
        self._turn += 1
        target = pinned or forward.targets[self._turn % len(forward.targets)]
        if forward.affinity_s is not None:
            self._pins[client, forward.id] = target
        return target


def _admitted(client: IPv4Address, forward: Forward) -> bool:
    return forward.sources is None or any(client in source for source in forward.sources)
