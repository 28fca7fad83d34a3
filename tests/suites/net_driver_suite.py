"""What every NetDriver must do.  A `World` is a driver, and a way to connect from somewhere and see who answers."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractContextManager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Protocol

import pytest

from coracle.core.errors import Broken
from coracle.net.addresses import mac_of
from coracle.net.api import Forward, NetDriver, Network, Port, Target

REFUSED, NOBODY = "refused", "nobody"
SERVICE = IPv4Address("10.77.0.10")


class World(Protocol):
    driver: NetDriver
    network: Network
    node_address: IPv4Address

    def run(self, main: Coroutine[Any, Any, Any]) -> Any: ...

    def netns_path(self, name: str) -> str: ...

    def serve(self, port: Port) -> None:
        """Answer in that plug's namespace, on port 8080 of both transports, with the plug's id."""

    def connect(self, client: str, address: IPv4Address, port: int, transport: str = "TCP") -> str:
        """From the plug `client` ("host": the node): the id of the plug that answers, REFUSED at once, or NOBODY."""

    def is_silent(self, client: str, address: IPv4Address, port: int) -> bool:
        """Whether nobody answers, and nobody refuses; waits less than `connect` does for an answer."""


def a_port(world: World, name: str, last: int) -> Port:
    address = world.network.subnet.network_address + last
    return Port(name, world.network.name, address, world.netns_path(name), mac_of(address))


def target(port: Port) -> Target:
    return Target(port.address, 8080)


def service(*targets: Port, address: IPv4Address | None = SERVICE, port: int = 80, **more: Any) -> Forward:
    id = f"web-{address}-{port}"
    return Forward(id, more.pop("transport", "TCP"), address, port, tuple(map(target, targets)), **more)


class NetDriverSuite:
    def make(self) -> AbstractContextManager[World]:
        raise NotImplementedError

    @pytest.fixture
    def world(self):
        with self.make() as world:
            yield world

    async def plugged(self, world: World, *names: str) -> list[Port]:
        await world.driver.ensure_network(world.network)
        ports = [a_port(world, name, last) for last, name in enumerate(names, 2)]
        for port in ports:
            await world.driver.make_netns(port.netns_path)
            await world.driver.plug(world.network, port)
            world.serve(port)
        return ports

    def test_the_host_reaches_a_plug_as_soon_as_it_is_plugged(self, world):
        (port,) = world.run(self.plugged(world, "a"))
        assert world.connect("host", port.address, 8080) == "a"

    def test_plugs_of_one_network_reach_each_other(self, world):
        _a, b = world.run(self.plugged(world, "a", "b"))
        assert world.connect("a", b.address, 8080) == "b"

    def test_everything_may_be_asked_twice(self, world):
        async def main():
            (a,) = await self.plugged(world, "a")
            await world.driver.ensure_network(world.network)
            await world.driver.make_netns(a.netns_path)
            await world.driver.plug(world.network, a)
            await world.driver.steer([service(a)])
            await world.driver.steer([service(a)])

        world.run(main())
        assert world.connect("host", SERVICE, 80) == "a"

    def test_what_is_gone_may_be_removed_again(self, world):
        async def main():
            (a,) = await self.plugged(world, "a")
            for _ in range(2):
                await world.driver.unplug(a)
                await world.driver.drop_netns(a.netns_path)
            for _ in range(2):
                await world.driver.remove_network(world.network)

        world.run(main())

    def test_an_unplugged_address_can_be_plugged_elsewhere(self, world):
        async def main():
            (a,) = await self.plugged(world, "a")
            await world.driver.unplug(a)
            b = a_port(world, "b", 2)
            await world.driver.make_netns(b.netns_path)
            await world.driver.plug(world.network, b)
            world.serve(b)
            return b

        b = world.run(main())
        assert world.connect("host", b.address, 8080) == "b"

    def test_a_namespace_that_goes_takes_its_plugs_along(self, world):
        async def main():
            a, b = await self.plugged(world, "a", "b")
            await world.driver.drop_netns(a.netns_path, [a])
            await world.driver.drop_netns(a.netns_path, [a])
            heir = a_port(world, "heir", 2)
            await world.driver.make_netns(heir.netns_path)
            await world.driver.plug(world.network, heir)
            world.serve(heir)
            return b, heir

        b, heir = world.run(main())
        assert world.connect("b", heir.address, 8080) == "heir"
        assert world.connect("heir", b.address, 8080) == "b"

    def test_a_namespace_may_have_several_plugs(self, world):
        async def main():
            (b,) = await self.plugged(world, "b")
            first, second = a_port(world, "first", 3), a_port(world, "second", 4)
            second = replace(second, netns_path=first.netns_path, interface="eth1")
            await world.driver.make_netns(first.netns_path)
            await world.driver.plug(world.network, first)
            await world.driver.plug(world.network, replace(second, leads=False))
            await world.driver.unplug(first)
            await world.driver.plug(world.network, second)
            world.serve(second)
            return b, second

        b, second = world.run(main())
        assert world.connect("b", second.address, 8080) == "second"
        assert world.connect("second", b.address, 8080) == "b"

    def test_a_namespace_that_is_not_there_cannot_be_plugged(self, world):
        async def main():
            await world.driver.ensure_network(world.network)
            with pytest.raises(Broken):
                await world.driver.plug(world.network, a_port(world, "nowhere", 9))

        world.run(main())

    def test_a_forward_is_reached_from_host_from_plugs_and_from_its_own_target(self, world):
        a, _b = world.run(self.plugged(world, "a", "b"))
        world.run(world.driver.steer([service(a)]))
        assert [world.connect(client, SERVICE, 80) for client in ("host", "b", "a")] == ["a", "a", "a"]

    def test_a_node_port_is_reached_on_every_address_of_the_node(self, world):
        a, _b = world.run(self.plugged(world, "a", "b"))
        world.run(world.driver.steer([service(a, address=None, port=30080)]))
        where = [("host", IPv4Address("127.0.0.1")), ("host", world.node_address), ("b", world.node_address)]
        where.append(("a", world.node_address))
        assert [world.connect(client, address, 30080) for client, address in where] == ["a"] * 4

    def test_a_loopback_port_is_reached_on_loopback_only(self, world):
        (a,) = world.run(self.plugged(world, "a"))
        world.run(world.driver.steer([service(a, address=None, port=30080, loopback_only=True)]))
        assert world.connect("host", IPv4Address("127.0.0.1"), 30080) == "a"
        assert world.connect("host", world.node_address, 30080) == REFUSED

    def test_udp_is_forwarded_too(self, world):
        (a,) = world.run(self.plugged(world, "a"))
        world.run(world.driver.steer([service(a, transport="UDP")]))
        assert world.connect("host", SERVICE, 80, "UDP") == "a"

    def test_every_target_gets_its_share(self, world):
        ports = world.run(self.plugged(world, "a", "b", "c"))
        world.run(world.driver.steer([service(*ports)]))
        answers = [world.connect("host", SERVICE, 80) for _ in range(120)]
        assert all(20 <= answers.count(name) <= 60 for name in "abc"), answers  # beyond 4 sigma it is not chance

    def test_a_client_with_affinity_stays_until_its_target_goes(self, world):
        a, b, c = world.run(self.plugged(world, "a", "b", "c"))
        world.run(world.driver.steer([service(a, b, c, affinity_s=60)]))
        first = {world.connect("host", SERVICE, 80) for _ in range(12)}
        assert len(first) == 1
        others = [port for port in (a, b, c) if port.id not in first]
        world.run(world.driver.steer([service(*others, affinity_s=60)]))
        second = {world.connect("host", SERVICE, 80) for _ in range(12)}
        assert len(second) == 1
        assert second != first

    @pytest.mark.parametrize("transport", ["TCP", "UDP"])
    def test_a_forward_without_targets_refuses(self, world, transport):
        world.run(self.plugged(world, "a"))
        world.run(world.driver.steer([service(transport=transport)]))
        assert [world.connect(client, SERVICE, 80, transport) for client in ("host", "a")] == [REFUSED, REFUSED]

    @pytest.mark.parametrize("address", [SERVICE, None])
    def test_a_forward_may_be_for_some_clients_only(self, world, address):
        a, b, _c = world.run(self.plugged(world, "a", "b", "c"))
        where = address or world.node_address
        only = (IPv4Network(b.address), IPv4Network("198.51.100.0/24"))
        world.run(world.driver.steer([service(a, address=address, sources=only)]))
        assert [world.connect(client, where, 80) for client in ("b", "host")] == ["a", "a"]
        assert world.is_silent("c", where, 80)
        world.run(world.driver.steer([service(a, address=address, sources=())]))
        assert world.is_silent("b", where, 80)
        world.run(world.driver.steer([service(a, address=address)]))
        assert [world.connect(client, where, 80) for client in ("b", "c")] == ["a", "a"]

    def test_steering_replaces_everything(self, world):
        a, b = world.run(self.plugged(world, "a", "b"))
        world.run(world.driver.steer([service(a), service(a, port=81)]))
        world.run(world.driver.steer([service(b), service(b, port=82)]))
        assert [world.connect("host", SERVICE, port) for port in (80, 81, 82)] == ["b", REFUSED, "b"]

    def test_nothing_is_left_after_a_purge(self, world):
        async def main():
            (a,) = await self.plugged(world, "a")
            await world.driver.steer([service(a)])
            await world.driver.purge()
            await world.driver.purge()
            await self.plugged(world, "a")

        world.run(main())
