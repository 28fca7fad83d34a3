"""Load balancers: the node's address where its ports are free, one of their own where they are not."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from coracle.core.errors import AlreadyExists, CloudError
from coracle.core.object import Key
from coracle.kube.proxy.balancers import INDEXES, Balancers, Choice, Ground, choose
from coracle.kube.proxy.endpoints import Place
from coracle.net.api import Forward
from coracle.net.fake import FakeNet
from coracle.net.forwards import Forwards
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_service

PLACE = Place("n1", IPv4Address("192.0.2.2"))
RANGE = IPv4Network("100.64.0.0/29")  # the last that can be had is .6


def a_balancer(name="web", present="", **spec):
    ingress = {"ingress": [{"ip": present}]} if present else {}
    return a_service(name, type="LoadBalancer", **spec).with_status(loadBalancer=ingress)


@pytest.mark.parametrize(
    ("service", "free", "taken", "expected"),
    [
        pytest.param(a_balancer(), True, (), "192.0.2.2", id="the node's"),
        pytest.param(a_balancer(), False, (), "100.64.0.6", id="its own, from the end"),
        pytest.param(a_balancer(), False, ("100.64.0.6",), "100.64.0.5", id="the next"),
        pytest.param(a_balancer(present="100.64.0.3"), True, (), "100.64.0.3", id="it stays"),
        pytest.param(
            a_balancer(present="192.0.2.2"), False, (), "100.64.0.6", id="its new port is somebody's: it moves"
        ),
        pytest.param(a_balancer(present="192.0.2.9"), True, (), "192.0.2.2", id="the node has moved"),
        pytest.param(a_balancer(loadBalancerIP="100.64.0.4"), True, (), "100.64.0.4", id="as asked"),
        pytest.param(
            a_balancer(loadBalancerIP="192.0.2.2"),
            True,
            ("192.0.2.2",),
            "192.0.2.2",
            id="the node's beside others there",
        ),
        pytest.param(
            a_balancer(present="100.64.0.4", loadBalancerIP="192.0.2.2"), True, (), "192.0.2.2", id="asked anew"
        ),
    ],
)
def test_which_address(service, free, taken, expected):
    assert choose(service, Choice(PLACE, RANGE, free, taken.__contains__)) == expected


@pytest.mark.parametrize(
    ("asked", "free", "taken", "said"),
    [
        ("192.0.2.2", False, (), "somebody else has a port"),
        ("100.64.0.4", True, ("100.64.0.4",), "already allocated"),
        ("203.0.113.1", True, (), "neither this node's address .192.0.2.2. nor in the range"),
        ("fd00::1", True, (), "neither"),
        ("", False, [f"100.64.0.{number}" for number in range(8)], "no address is left"),
    ],
)
def test_what_cannot_be(asked, free, taken, said):
    with pytest.raises(CloudError, match=said):
        choose(a_balancer(loadBalancerIP=asked), Choice(PLACE, RANGE, free, taken.__contains__))


class Cluster(Stage):
    """`used`: ports that processes of the host have."""

    def __init__(self, used=()):
        super().__init__(INDEXES)
        self.made = 1
        self.forwards = Forwards(FakeNet(), self.clock)

        def try_port(port):
            if port.port in used:
                raise AlreadyExists(kind="Port", name=str(port.port))

        ground = Ground(PLACE, IPv4Network("100.64.0.0/16"), self.forwards, try_port)
        self.run(Balancers(self.caches["Service"], self["Service"], self.recorder, ground))

    async def make(self, *services):
        await self.rooms()
        for service in services:
            await self.add(service)
        await self.settle(5)

    async def add(self, service):
        """With a cluster IP that no balancer would get: by chance it could have one of theirs."""
        self.made += 1
        await self["Service"].create(service.with_spec(clusterIP=f"100.64.0.{self.made}"))

    def given(self, name="web"):
        ingress = self["Service"].get(Key("default", name)).status["loadBalancer"].get("ingress", [])
        return [one["ip"] for one in ingress]


def test_a_port_of_the_node_is_one_services():
    async def main():
        cluster = Cluster(used=(22,))
        udp = a_balancer("udp", ports=[{"port": 80, "protocol": "UDP"}])
        ssh = a_balancer("ssh", ports=[{"port": 22}])
        await cluster.forwards.replace("docker/x", [Forward("x", "TCP", None, 8080, (), owner="Container x")])
        docker = a_balancer("docker", ports=[{"name": "a", "port": 8080}, {"name": "b", "port": 81}])
        theirs = a_balancer("theirs", loadBalancerClass="example.org/x")
        await cluster.make(a_balancer(), udp, ssh, docker, theirs)
        assert (cluster.given(), cluster.given("udp")) == (["192.0.2.2"], ["192.0.2.2"])
        own = [*cluster.given("ssh"), *cluster.given("docker")]
        assert sorted(own) == ["100.64.255.253", "100.64.255.254"]
        assert cluster.given("theirs") == []
        await cluster.add(a_balancer("second"))
        await cluster.settle(5)
        assert cluster.given("second") == ["100.64.255.252"]
        assert len(cluster.said("EnsuredLoadBalancer")) == 5

    run(main())


def test_what_is_asked_and_cannot_be_is_said():
    async def main():
        cluster = Cluster()
        await cluster.make(a_balancer(loadBalancerIP="203.0.113.1"))
        assert cluster.given() == []
        (said,) = cluster.said("SyncLoadBalancerFailed")
        assert said.startswith("Error syncing load balancer: failed to ensure load balancer: 203.0.113.1 is neither")
        await cluster["Service"].change(Key("default", "web"), lambda web: web.with_spec(loadBalancerIP=""))
        await cluster.settle(5)
        assert cluster.given() == ["192.0.2.2"]

    run(main())


def test_a_service_is_held_until_its_balancer_is_gone():
    async def main():
        cluster = Cluster()
        await cluster.make(a_balancer(), a_balancer("theirs", loadBalancerClass="example.org/x"))
        services = cluster["Service"]
        kept = [services.get(Key("default", name)).meta.finalizers for name in ("web", "theirs")]
        await services.change(Key("default", "web"), lambda web: web.with_spec(type="ClusterIP"))
        await cluster.settle(5)
        plain = services.get(Key("default", "web")).meta.finalizers
        await services.change(Key("default", "web"), lambda web: web.with_spec(type="LoadBalancer"))
        await cluster.settle(5)
        await services.delete(Key("default", "web"))
        going = services.find(Key("default", "web"))
        await cluster.settle(5)
        assert kept == [("service.kubernetes.io/load-balancer-cleanup",), ()]
        assert plain == ()
        assert going is not None
        assert services.find(Key("default", "web")) is None
        assert cluster.said("DeletedLoadBalancer") == ["Deleted load balancer"]  # twice

    run(main())
