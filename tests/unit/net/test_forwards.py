import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from coracle.core.clock import LoopClock
from coracle.core.errors import AlreadyExists, Broken
from coracle.net.api import Forward, Target
from coracle.net.fake import FakeNet
from coracle.net.forwards import ANY, LOOPBACK, Forwards
from coracle.testing.autojump import run

TARGET = (Target(IPv4Address("10.32.0.2"), 80),)
CLUSTER_IP = IPv4Address("100.64.0.5")


def node(port, owner="Service default/web", **more):
    return Forward(f"{owner}/{port}", "TCP", None, port, TARGET, owner=owner, **more)


def cluster(port, address=CLUSTER_IP):
    return Forward(f"{address}:{port}", "TCP", address, port, TARGET, owner="Service default/web")


class SlowNet(FakeNet):
    """Takes 100 ms for each telling, and fails the first `failures`."""

    def __init__(self, failures=0):
        super().__init__()
        self.failures = failures

    async def steer(self, forwards):
        await asyncio.sleep(0.1)
        if self.failures:
            self.failures -= 1
            raise Broken("no")
        await super().steer(forwards)


class Ports:
    """The host's ports: `used` are another process's."""

    def __init__(self, *used):
        self.used, self.held = set(used), set()

    def take(self, port):
        if port.address not in (ANY, LOOPBACK):
            return
        if port.port in self.used or any(port.port == held.port for held in self.held):
            raise AlreadyExists(f"port {port.port}/TCP is already used by nginx (pid 7)", holder="nginx (pid 7)")
        self.held.add(port)

    def release(self, port):
        self.held.discard(port)


def forwards_of(net, *used):
    ports = Ports(*used)
    return Forwards(net, LoopClock(), ports), ports


def steered(net):
    return [int(count) for name, count in net.calls if name == "steer"]


def test_the_driver_is_told_the_union_of_all_owners():
    async def main():
        net = FakeNet()
        forwards, _ = forwards_of(net)
        await forwards.replace("kube", [node(30080), cluster(80)])
        await forwards.replace("docker/1", [node(8001, "Container web")])
        await forwards.replace("kube", [cluster(80)])
        return {forward.port for forward in net.forwards}

    assert run(main()) == {80, 8001}


def test_nothing_is_told_when_nothing_changes():
    async def main():
        net = FakeNet()
        forwards, _ = forwards_of(net)
        for _ in range(3):
            await forwards.replace("kube", [node(30080)])
        return steered(net)

    assert run(main()) == [1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(node(8001), node(8001, "Container db"), id="the same port"),
        pytest.param(node(8001), node(8001, "Container db", loopback_only=True), id="its loopback part"),
        pytest.param(node(8001, loopback_only=True), node(8001, "Container db"), id="the whole of a loopback port"),
        pytest.param(cluster(80), cluster(80), id="the same port of one address"),
    ],
)
def test_a_port_belongs_to_one_owner(first, second):
    async def main():
        net = FakeNet()
        forwards, _ = forwards_of(net)
        await forwards.replace("kube", [first])
        with pytest.raises(AlreadyExists, match="is already allocated to Service default/web") as caught:
            await forwards.replace("docker/1", [second, node(9)])
        assert caught.value.holder == "Service default/web"
        return net.forwards, forwards.of("docker/1")

    assert run(main()) == ([first], [])


def test_a_cluster_address_and_the_node_may_have_the_same_port():
    async def main():
        net = FakeNet()
        forwards, _ = forwards_of(net)
        await forwards.replace("kube", [node(80), cluster(80), cluster(80, IPv4Address("100.64.0.6"))])
        return len(net.forwards)

    assert run(main()) == 3


def test_a_port_of_a_host_process_is_refused_and_all_stays_as_it_was():
    async def main():
        net = FakeNet()
        forwards, ports = forwards_of(net, 8002)
        await forwards.replace("kube", [node(8001)])
        with pytest.raises(AlreadyExists, match="nginx"):
            await forwards.replace("kube", [node(8003), node(8002)])
        return [f.port for f in net.forwards], {held.port for held in ports.held}

    assert run(main()) == ([8001], {8001})


def test_an_offer_applies_what_can_be_and_returns_the_rest():
    async def main():
        net = FakeNet()
        forwards, _ = forwards_of(net, 8002)
        refused = await forwards.offer("kube", [node(8001), node(8002), node(8003)])
        return [f.port for f in net.forwards], [(r.forward.port, r.error.holder) for r in refused]

    assert run(main()) == ([8001, 8003], [(8002, "nginx (pid 7)")])


def test_a_port_may_shrink_to_loopback_and_grow_again():
    async def main():
        net = FakeNet()
        forwards, ports = forwards_of(net)
        await forwards.replace("kube", [node(8001)])
        await forwards.replace("kube", [node(8001, loopback_only=True)])
        one = {str(held.address) for held in ports.held}
        await forwards.replace("kube", [node(8001)])
        return one, {str(held.address) for held in ports.held}

    assert run(main()) == ({"127.0.0.1"}, {"0.0.0.0"})


def test_ports_are_free_again_when_their_owner_leaves():
    async def main():
        forwards, ports = forwards_of(FakeNet())
        await forwards.replace("kube", [node(8001)])
        await forwards.replace("kube", [])
        await forwards.replace("docker/1", [node(8001, "Container web")])
        return forwards.holder("TCP", 8001), len(ports.held)

    assert run(main()) == ("Container web", 1)


def test_changes_that_come_together_are_told_together():
    async def main():
        net = SlowNet()
        forwards, _ = forwards_of(net)
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(forwards.replace(f"docker/{number}", [node(8000 + number, f"c{number}")]))
        return steered(net)

    assert run(main()) == [1, 50]


def test_a_telling_that_failed_is_made_up_by_the_next():
    async def main():
        net = SlowNet(failures=1)
        forwards, _ = forwards_of(net)
        with pytest.raises(Broken):
            await forwards.replace("kube", [node(30080)])
        await forwards.replace("docker/1", [node(8001, "c")])
        return {f.port for f in net.forwards}

    assert run(main()) == {30080, 8001}


def test_whoever_is_cancelled_does_not_take_the_others_along():
    async def main():
        net = SlowNet()
        forwards, _ = forwards_of(net)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(forwards.replace("kube", [node(30080)]))
            group.create_task(forwards.replace("docker/1", [node(8001, "c")]))
            await asyncio.sleep(0.05)
            first.cancel()
        return {f.port for f in net.forwards}

    assert run(main()) == {30080, 8001}


def test_the_families_have_ports_of_their_own():
    async def main(forwards, _ports):
        by_six = Forward("six", "TCP", None, 80, (Target(IPv6Address("fd00::2"), 80),), owner="container six")
        await forwards.replace("a", [node(80)])
        await forwards.replace("b", [by_six])
        with pytest.raises(AlreadyExists, match="container six"):
            await forwards.replace("c", [replace(by_six, id="other", owner="container other")])
        return [forward.version for forward in forwards.all()]

    net = FakeNet()
    assert run(main(*forwards_of(net))) == [4, 6]


@pytest.mark.parametrize("more", [{"affinity_s": 5}, {"loopback_only": True}])
def test_what_ipv6_cannot_is_not_asked_for(more):
    with pytest.raises(ValueError, match="x: "):
        Forward("x", "TCP", None, 80, (Target(IPv6Address("fd00::2"), 80),), **more)


def test_one_telling_after_another_waits_no_longer_than_the_first_took():
    class Timed(FakeNet):
        async def steer(self, forwards):
            await asyncio.sleep(0.004)
            await super().steer(forwards)

    async def main(forwards, _ports):
        loop, ends = asyncio.get_running_loop(), []
        for port in (1, 2, 3):
            await forwards.replace(f"owner-{port}", [node(port, owner=str(port))])
            ends.append(round(loop.time(), 3))
        return [round(end - ends[0], 3) for end in ends]

    assert run(main(*forwards_of(Timed()))) == [0, 0.008, 0.016]
