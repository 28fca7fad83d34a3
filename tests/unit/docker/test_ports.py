import asyncio
from ipaddress import IPv4Address

import pytest

from coracle.core.clock import LoopClock
from coracle.core.errors import Exhausted
from coracle.core.object import Meta, Object
from coracle.docker.ports import Ports
from coracle.engine.kinds import network as networks
from coracle.engine.kinds.network import NetworkSpec
from coracle.net.api import Forward, Target
from coracle.net.fake import FakeNet
from coracle.net.forwards import Forwards
from coracle.testing.autojump import run

LOCAL = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
NETWORKS = {
    "bridge": NetworkSpec(name="bridge"),
    "in": NetworkSpec(name="in", internal=True),
    "home": NetworkSpec(name="home", details={"Options": LOCAL}),
}


def lookup(name):
    return networks.to_record(name, NETWORKS[name])


def container(bindings, name="web", **host):
    host = {"PortBindings": {key: [{"HostIp": ip, "HostPort": port}] for key, (ip, port) in bindings.items()}, **host}
    return Object(
        "Container", Meta(name=name * 16), {"spec": {"name": name, "details": {"HostConfig": host}}, "status": {}}
    )


def sandbox(address="172.17.0.2", network="bridge", address6=""):
    return plugged((network, address, address6, 0))


def plugged(*endpoints):
    there = [{"network": n, "address": a, "address6": a6, "state": "ready"} for n, a, a6, _ in endpoints]
    wishes = [{"network": n, "priority": priority} for n, _, _, priority in endpoints]
    return Object("Sandbox", Meta(name="x"), {"spec": {"endpoints": wishes}, "status": {"endpoints": there}})


class World:
    def __init__(self):
        self.net = FakeNet()
        self.forwards = Forwards(self.net, LoopClock())
        self.ports = Ports(self.forwards, lookup)

    def told(self):
        """What the kernel has: (transport, address, port of the host) -> where it leads."""
        return {
            (one.transport, "local" if one.loopback_only else str(one.address), one.port): one.targets[0]
            for one in self.net.forwards
        }


def with_world(main):
    async def whole():
        return await main(World())

    return run(whole())


def target(port, address="172.17.0.2"):
    return Target(IPv4Address(address), port)


def test_ports_are_published_and_released():
    async def main(world):
        web = container({"80/tcp": ("", "8001"), "81/tcp": ("127.0.0.1", "8002"), "53/udp": ("", "8001")})
        bound = await world.ports.publish(web, sandbox())
        assert bound == {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8001"}],
            "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8002"}],
            "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "8001"}],
        }
        assert world.told() == {
            ("TCP", "None", 8001): target(80),
            ("TCP", "local", 8002): target(81),
            ("UDP", "None", 8001): target(53),
        }
        await world.ports.release(web.meta.name)
        await world.ports.release(web.meta.name)
        assert world.told() == {}

    with_world(main)


def test_ports_are_chosen_in_turn():
    async def main(world):
        numbers = []
        for name in ("one", "two", "three"):
            bound = await world.ports.publish(container({"80/tcp": ("", ""), "81/tcp": ("", "")}, name), sandbox())
            numbers += [int(those[0]["HostPort"]) for those in bound.values()]
        assert numbers == list(range(32768, 32774))

    with_world(main)


def test_a_port_that_somebody_else_has_is_not_chosen():
    async def main(world):
        mine = Forward("svc", "TCP", None, 32769, (target(1),), owner="Service default/web")
        await world.forwards.replace("kube", [mine])
        bound = await world.ports.publish(container({"80/tcp": ("", ""), "81/tcp": ("", "")}), sandbox())
        assert [those[0]["HostPort"] for those in bound.values()] == ["32768", "32770"]

    with_world(main)


def test_one_of_a_range_is_chosen_until_none_is_left():
    async def main(world):
        for name, port in (("one", "8001"), ("two", "8002")):
            bound = await world.ports.publish(container({"80/tcp": ("", "8001-8002")}, name), sandbox())
            assert bound["80/tcp"][0]["HostPort"] == port
        with pytest.raises(Exhausted, match=r"Bind for 0.0.0.0:8001 failed: port is already allocated"):
            await world.ports.publish(container({"80/tcp": ("", "8001-8002")}, "three"), sandbox())

    with_world(main)


def test_a_taken_port_is_refused_by_name_of_its_owner_and_nothing_is_published():
    async def main(world):
        await world.ports.publish(container({"80/tcp": ("", "8001")}, "one"), sandbox())
        before = world.told()
        with pytest.raises(Exhausted) as refused:
            await world.ports.publish(container({"80/tcp": ("", "8001"), "79/tcp": ("", "8000")}, "two"), sandbox())
        assert "driver failed programming external connectivity on endpoint two (" in refused.value.message
        assert "Bind for 0.0.0.0:8001 failed: port is already allocated (by container one)" in refused.value.message
        assert world.told() == before

    with_world(main)


def test_the_same_port_twice_is_refused():
    async def main(world):
        with pytest.raises(Exhausted, match="already allocated"):
            await world.ports.publish(container({"80/tcp": ("", "8001"), "81/tcp": ("", "8001")}), sandbox())
        assert world.told() == {}

    with_world(main)


def test_of_many_at_once_one_gets_it():
    async def main(world):
        many = [container({"80/tcp": ("", "8001")}, name) for name in ("one", "two", "three", "four")]
        outcomes = await asyncio.gather(*(world.ports.publish(one, sandbox()) for one in many), return_exceptions=True)
        assert [type(one) for one in outcomes].count(dict) == 1
        assert len(world.told()) == 1

    with_world(main)


def test_with_ipv6_ports_are_published_by_both():
    async def main(world):
        web = container({"80/tcp": ("", "8001"), "81/tcp": ("::", "8002"), "82/tcp": ("0.0.0.0", "8003")})
        bound = await world.ports.publish(web, sandbox(address6="fd00::2"))
        assert [one["HostIp"] for one in bound["80/tcp"]] == ["0.0.0.0", "::"]
        assert [one["HostIp"] for one in bound["82/tcp"]] == ["0.0.0.0"]
        assert sorted(str(one.targets[0].address) for one in world.net.forwards) == ["172.17.0.2"] * 2 + ["fd00::2"] * 2
        with pytest.raises(Exhausted, match="nothing is forwarded from the loopback of IPv6"):
            await world.ports.publish(container({"80/tcp": ("::1", "8004")}, "three"), sandbox(address6="fd00::3"))
        with pytest.raises(Exhausted, match="the container has no IPv6 address"):
            await world.ports.publish(container({"80/tcp": ("::", "8005")}, "four"), sandbox())

    with_world(main)


def test_an_address_that_the_host_does_not_have_is_refused():
    async def main(world):
        with pytest.raises(Exhausted, match=r"192\.0\.2\.77:8001/tcp: cannot assign requested address"):
            await world.ports.publish(container({"80/tcp": ("192.0.2.77", "8001")}), sandbox())

    with_world(main)


def test_the_way_in_is_the_way_out():
    async def main(world):
        web = container({"80/tcp": ("", "8001")})
        ways = plugged(("bridge", "172.17.0.2", "", 0), ("home", "10.1.0.2", "", 5), ("in", "10.2.0.2", "", 9))
        bound = await world.ports.publish(web, ways)
        assert bound["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8001"}]  # that network says where
        assert world.told() == {("TCP", "local", 8001): target(80, "10.1.0.2")}
        await world.ports.follow(web, sandbox("172.17.0.3"), bound)
        assert world.told() == {("TCP", "local", 8001): target(80, "172.17.0.3")}
        assert not world.ports.is_reached(sandbox(network="in"))
        await world.ports.follow(web, sandbox(network="in"), bound)
        assert world.told() == {}
        assert await world.ports.publish(web, sandbox(network="in")) == {"80/tcp": None}

    with_world(main)


def test_what_was_bound_is_restored_with_the_same_ports():
    async def main(world):
        web = container({"80/tcp": ("", ""), "81/tcp": ("127.0.0.1", "")})
        bound = await world.ports.publish(web, sandbox(address6="fd00::2"))
        told, later = world.told(), World()
        await later.ports.follow(web, sandbox(address6="fd00::2"), bound)
        assert later.told() == told
        with pytest.raises(Exhausted, match="already allocated"):
            await later.ports.follow(container({}, "two"), sandbox(address6="fd00::3"), bound)

    with_world(main)


def test_a_thousand_ports_are_one_telling():
    async def main(world):
        bindings = {f"{number}/tcp": ("", str(number)) for number in range(20000, 21000)}
        await world.ports.publish(container(bindings), sandbox())
        assert [call for call in world.net.calls if call[0] == "steer"] == [("steer", "1000")]

    with_world(main)
