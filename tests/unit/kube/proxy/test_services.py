import asyncio
from ipaddress import IPv4Address, IPv4Network

import pytest

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.loop import Loop
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Delete, MemoryStore, Put
from coracle.core.tasks import run_parts
from coracle.kube.kinds.catalogue import kinds
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.proxy import bootstrap
from coracle.kube.proxy.endpoints import ENDPOINTS, INDEXES, SERVICE, SLICE, Backends, Endpoint, Place, endpoints, used
from coracle.kube.proxy.hostports import HostPorts, host_ports
from coracle.kube.proxy.names import PodNames, ServiceNames
from coracle.kube.proxy.services import ServiceProxy, forwards
from coracle.net.api import Forward, Target
from coracle.net.fake import FakeNet
from coracle.net.forwards import Forwards
from coracle.net.zones import Text
from coracle.testing.autojump import run

IP, ONE, TWO = IPv4Address("100.64.0.9"), IPv4Address("10.32.0.5"), IPv4Address("10.32.0.6")
PLACE = Place("here", IPv4Address("192.0.2.2"))
BEHIND = (
    Endpoint(str(TWO), {"": 8080}),
    Endpoint(str(ONE), {"": 8080}),
    Endpoint("10.32.0.7", {"": 8080}, ready=False),
)
TARGETS = (Target(ONE, 8080), Target(TWO, 8080))


def a_service(name="web", ports=({"port": 80, "protocol": "TCP"},), **spec):
    body = {"spec": {"type": "ClusterIP", "clusterIP": str(IP), "ports": list(ports), **spec}}
    return Object("Service", Meta(name=name, namespace="default"), body)


def a_forward(address=IP, port=80, targets=TARGETS, transport="TCP", affinity_s=None):
    id = f"default/web/{transport}/{address or 'node'}:{port}"
    return Forward(id, transport, address, port, targets, affinity_s, "Service default/web")


NODE_PORT = {"port": 80, "protocol": "TCP", "nodePort": 30080}


@pytest.mark.parametrize(
    ("service", "behind", "expected"),
    [
        pytest.param(a_service(), BEHIND, [a_forward()], id="only to ready addresses"),
        pytest.param(a_service(), (), [a_forward(targets=())], id="refused where there are none"),
        pytest.param(a_service(clusterIP="None"), BEHIND, [], id="nothing for a headless one"),
        pytest.param(a_service(type="ExternalName", externalName="a.b"), BEHIND, [], id="nothing for a name"),
        pytest.param(
            a_service(type="NodePort", ports=[NODE_PORT]),
            BEHIND,
            [a_forward(), a_forward(None, 30080)],
            id="a node port too",
        ),
        pytest.param(a_service(ports=[NODE_PORT]), BEHIND, [a_forward()], id="a node port left over is none"),
        pytest.param(
            a_service(externalIPs=["192.0.2.80", str(IP)]),
            BEHIND,
            [a_forward(), a_forward(IPv4Address("192.0.2.80"))],
            id="external addresses, each once",
        ),
        pytest.param(
            a_service(ports=[{"port": 53, "protocol": "UDP"}]), BEHIND, [a_forward(port=53, transport="UDP")], id="UDP"
        ),
        pytest.param(
            a_service(sessionAffinity="ClientIP"), BEHIND, [a_forward(affinity_s=10800)], id="sticky for three hours"
        ),
        pytest.param(
            a_service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}}),
            BEHIND,
            [a_forward(affinity_s=60)],
            id="sticky as long as asked",
        ),
        pytest.param(
            a_service(ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}]),
            (Endpoint(str(ONE), {"a": 1, "b": 2}), Endpoint(str(TWO), {"b": 3})),
            [a_forward(targets=(Target(ONE, 1),)), a_forward(port=81, targets=(Target(ONE, 2), Target(TWO, 3)))],
            id="each port to who has it, by name",
        ),
    ],
)
def test_forwards(service, behind, expected):
    assert forwards(service, behind, PLACE) == expected


def a_slice(*addresses, service="web", ready=True, name="web-1", ports=({"name": "", "port": 8080},), **conditions):
    body = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(one)], "conditions": {"ready": ready, **conditions}} for one in addresses],
        "ports": [{"protocol": "TCP", **port} for port in ports],
    }
    labels = {"kubernetes.io/service-name": service}
    return Object("EndpointSlice", Meta(name=name, namespace="default", labels=labels), body, "discovery.k8s.io/v1")


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        pytest.param([a_slice(ONE), a_slice(TWO)], [ONE, TWO], id="all"),
        pytest.param([a_slice(ONE, TWO, ready=False), a_slice(TWO)], [TWO], id="ready in one of them"),
        pytest.param([a_slice(ONE, ready=None)], [ONE], id="unknown counts as ready"),
        pytest.param([], [], id="nothing"),
        pytest.param(
            [a_slice(ONE, ready=False, serving=True, terminating=True)], [ONE], id="going, when it is the last"
        ),
        pytest.param(
            [a_slice(ONE, ready=False, serving=True, terminating=True), a_slice(TWO)],
            [TWO],
            id="not while one is ready",
        ),
        pytest.param(
            [a_slice(ONE, ready=False, serving=False, terminating=True)], [], id="going, and no longer serving"
        ),
        pytest.param([a_slice(ONE, ready=False, serving=True)], [], id="neither ready nor going"),
    ],
)
def test_who_is_used(slices, expected):
    assert [IPv4Address(one.address) for one in used(endpoints(slices), "")] == expected


def test_who_is_used_of_a_node():
    behind = (Endpoint("10.32.0.5", {"": 80}, node="here"), Endpoint("10.32.1.5", {"": 80}, node="there"))
    assert used(behind, "", "here") == [behind[0]]
    assert used(behind, "", "nowhere") == []
    assert used(behind, "other") == []


LOCAL = (Endpoint(str(ONE), {"": 8080}, node="here"), Endpoint(str(TWO), {"": 8080}))
MINE = (Target(ONE, 8080),)
BOTH = {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"internalTrafficPolicy": "Local"}, [a_forward(targets=MINE), a_forward(None, 30080)]),
        ({"externalTrafficPolicy": "Local"}, [a_forward(), a_forward(None, 30080, MINE)]),
    ],
)
def test_policies_keep_traffic_on_this_node(spec, expected):
    assert forwards(a_service(**BOTH, **spec), LOCAL, PLACE) == expected


@pytest.mark.parametrize(
    ("ingress", "expected"),
    [
        pytest.param({"ip": "192.0.2.2"}, [a_forward(), a_forward(None), a_forward(None, 30080)], id="the node's own"),
        pytest.param(
            {"ip": "192.0.2.3", "ipMode": "VIP"},
            [a_forward(), a_forward(IPv4Address("192.0.2.3")), a_forward(None, 30080)],
            id="another",
        ),
        pytest.param({"ip": "192.0.2.3", "ipMode": "Proxy"}, [a_forward(), a_forward(None, 30080)], id="a proxy's"),
        pytest.param({"hostname": "a.b"}, [a_forward(), a_forward(None, 30080)], id="a name"),
    ],
)
def test_a_balancers_address(ingress, expected):
    service = a_service(**BOTH).with_status(loadBalancer={"ingress": [ingress]})
    assert forwards(service, BEHIND, PLACE) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], None),
        (["10.0.0.0/8", " 192.0.2.7/24"], (IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.0/24"))),
        (["fd00::/8"], ()),
    ],
)
def test_whom_a_balancer_serves(given, expected):
    service = a_service(**BOTH, externalIPs=["192.0.2.80"], loadBalancerSourceRanges=given)
    found = forwards(service.with_status(loadBalancer={"ingress": [{"ip": "192.0.2.2"}]}), BEHIND, PLACE)
    assert {(one.address, one.port): one.sources for one in found} == {
        (IP, 80): None,
        (IPv4Address("192.0.2.80"), 80): None,
        (None, 80): expected,
        (None, 30080): None,
    }


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_another_proxys_services_are_left_to_it(label):
    assert forwards(a_service().with_meta(labels={label: "x"}), BEHIND, PLACE) == []


@pytest.mark.parametrize(
    ("port", "status", "expected"),
    [
        ({"containerPort": 80, "hostPort": 8080}, {"podIP": str(ONE)}, [(None, 8080, False)]),
        ({"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}, {"podIP": str(ONE)}, [(None, 8080, True)]),
        ({"containerPort": 80, "hostPort": 1, "hostIP": str(IP)}, {"podIP": str(ONE)}, [(IP, 1, False)]),
        ({"containerPort": 80}, {"podIP": str(ONE)}, []),
        ({"containerPort": 80, "hostPort": 8080}, {}, []),
        ({"containerPort": 80, "hostPort": 8080}, {"podIP": str(ONE), "phase": "Succeeded"}, []),
        ({"containerPort": 80, "hostPort": 8080, "hostIP": "::1"}, {"podIP": str(ONE)}, []),
    ],
)
def test_host_ports(port, status, expected):
    found = host_ports(a_pod(port, **status))
    assert [(one.address, one.port, one.loopback_only) for one in found] == expected
    assert all(one.targets == (Target(ONE, 80),) for one in found)


def a_pod(port, name="p", **status):
    spec = {"containers": [{"name": "web", "image": "x", "ports": [port]}]}
    return Object("Pod", Meta(name=name, namespace="default"), {"spec": spec, "status": status})


# -- the loops -------------------------------------------------------------------------------------------------------


class RememberingNet(FakeNet):
    """Keeps every set of Forwards that it was told."""

    def __init__(self):
        super().__init__()
        self.told = []

    async def steer(self, forwards):
        await super().steer(forwards)
        self.told.append({forward.id for forward in forwards})


class FakeNames:
    """Keeps what was published, by source."""

    def __init__(self):
        self.records = {}

    def publish(self, source, records):
        self.records[source] = records
        if not records:
            del self.records[source]


class Node:
    """The proxy's loops over a store that tests write into."""

    def __init__(self, store=None):
        self.store, self.clock = store or MemoryStore(), LoopClock()
        self.net, self.names = RememberingNet(), FakeNames()
        self.forwards = Forwards(self.net, self.clock)
        self.collections = {kind.type: Collection(kind, self.store, self.clock) for kind in kinds()}
        recorder = EventRecorder(self.collections["Event"], self.clock, "proxy")
        caches = {type: Informer(type, self.store, INDEXES.get(type)) for type in (SERVICE, SLICE, "Pod")}
        backends = Backends(caches[SLICE])
        loops = (
            ServiceProxy(caches[SERVICE], backends, self.forwards, recorder, PLACE),
            HostPorts(caches["Pod"], self.forwards, recorder),
            ServiceNames(caches[SERVICE], backends, self.names, "cluster.local"),
            PodNames(caches["Pod"], self.names, "cluster.local"),
        )
        self.parts = [*caches.values(), recorder, *(Loop(loop, caches, self.store) for loop in loops)]

    async def settle(self, *objects, seconds=1):
        await self.put(*objects)
        try:
            async with asyncio.timeout(seconds):
                await run_parts(self.parts, lambda: None)
        except TimeoutError:
            return self

    async def put(self, *objects):
        for obj in objects:
            await self.store.commit(Put(obj))


def test_services_reach_the_kernel_and_leave_it():
    async def main():
        node = Node()
        async with asyncio.TaskGroup() as group:
            group.create_task(node.settle(a_service(), a_slice(ONE, TWO), seconds=30))
            await asyncio.sleep(5)
            both = node.net.forwards
            await node.put(a_slice(TWO))
            await asyncio.sleep(5)
            one = node.net.forwards
            await node.store.commit(Delete(SERVICE, Key("default", "web")))
            await asyncio.sleep(5)
            return both, one, node.net.forwards, node.names.records

    both, one, none, names = run(main())
    assert both == [a_forward()]
    assert one == [a_forward(targets=(Target(TWO, 8080),))]
    assert (none, names) == ([], {"kube": {"dns-version.cluster.local": [Text("1.1.0")]}})


def test_the_first_telling_is_whole():
    async def main():
        services = [a_service(f"web-{number}", clusterIP=f"100.64.1.{number}") for number in range(50)]
        return await Node().settle(*services)

    node = run(main())
    assert len(node.net.told[0]) == 50


def test_a_taken_port_is_said_and_the_rest_applies():
    async def main():
        node = Node()
        theirs = Forward("docker/x", "TCP", None, 30080, TARGETS, owner="Container db")
        await node.forwards.replace("docker/x", [theirs])
        others = a_service("other", type="NodePort", ports=[{**NODE_PORT, "nodePort": 30081}], clusterIP="100.64.0.10")
        service = a_service(type="NodePort", ports=[NODE_PORT])
        async with asyncio.TaskGroup() as group:
            group.create_task(node.settle(service, others, a_slice(ONE), seconds=60))
            await asyncio.sleep(5)
            during = {(one.address, one.port) for one in node.net.forwards if one.owner.startswith("Service")}
            await node.forwards.replace("docker/x", [])
            await asyncio.sleep(30)
            after = {(one.address, one.port) for one in node.net.forwards}
        return during, after, [event.body["message"] for event in node.collections["Event"].list()]

    during, after, said = run(main())
    assert during == {(IP, 80), (IPv4Address("100.64.0.10"), 80), (None, 30081)}
    assert after == {*during, (None, 30080)}
    assert said == ["port 30080/TCP is already allocated to Container db"]


def test_host_ports_come_and_go_with_their_pods():
    async def main():
        node = Node()
        pod = a_pod({"containerPort": 80, "hostPort": 8080}, podIP=str(ONE))
        async with asyncio.TaskGroup() as group:
            group.create_task(node.settle(pod, seconds=30))
            await asyncio.sleep(5)
            there = [(one.port, one.owner) for one in node.net.forwards]
            await node.collections["Pod"].delete(pod.key)
            await asyncio.sleep(5)
            return there, node.net.forwards

    assert run(main()) == ([(8080, "Pod default/p")], [])


def test_every_cluster_has_the_services_kubernetes_and_kube_dns():
    place = bootstrap.ApiPlace(IPv4Address("10.32.0.1"), 6443, IPv4Network("100.64.0.0/16"))
    moved = bootstrap.ApiPlace(IPv4Address("10.32.0.1"), 7443, IPv4Network("100.64.0.0/16"))

    async def main():
        node = Node()
        for _ in range(2):
            await bootstrap.ensure_namespaces(node.collections["Namespace"])
            await bootstrap.ensure_kubernetes(node.collections, place)
        revision = node.store.revision
        await bootstrap.ensure_kubernetes(node.collections, moved)
        await node.settle()
        return node, revision

    node, revision = run(main())
    assert [one.meta.name for one in node.collections["Namespace"].list()] == sorted(bootstrap.NAMESPACES)
    # four namespaces, a range, two Services with Endpoints and slice: the second time changed nothing
    assert revision == 11
    forward, *dns = sorted(node.net.forwards, key=lambda one: (one.address, one.transport))
    assert (str(forward.address), forward.port) == ("100.64.0.1", 443)
    assert forward.targets == (Target(IPv4Address("10.32.0.1"), 7443),)
    assert "kubernetes.default.svc.cluster.local" in node.names.records["kube/service/default/kubernetes"]
    assert [(str(one.address), one.transport, one.port) for one in dns] == [
        ("100.64.0.10", "TCP", 53),
        ("100.64.0.10", "UDP", 53),
    ]
    assert {one.targets for one in dns} == {(Target(IPv4Address("10.32.0.1"), 53),)}


def test_who_has_the_address_of_the_name_server_already_keeps_it():
    place = bootstrap.ApiPlace(IPv4Address("10.32.0.1"), 6443, IPv4Network("100.64.0.0/16"))

    async def main():
        node = Node()
        await bootstrap.ensure_namespaces(node.collections["Namespace"])
        told = [bootstrap.dns_address(node.store, place.services, place.address)]
        users = {"clusterIP": "100.64.0.10", "ports": [{"port": 80}]}
        await node.collections[SERVICE].create(Object(SERVICE, Meta(name="web", namespace="default"), {"spec": users}))
        await bootstrap.ensure_kubernetes(node.collections, place)
        told.append(bootstrap.dns_address(node.store, place.services, place.address))
        return [str(one) for one in told], [one.meta.name for one in node.collections[SERVICE].list()]

    assert run(main()) == (["100.64.0.10", "10.32.0.1"], ["kubernetes", "web"])


@pytest.mark.parametrize("key", [bootstrap.KUBERNETES, bootstrap.DNS], ids=str)
@pytest.mark.parametrize("type", [SERVICE, ENDPOINTS, SLICE])
def test_the_clusters_own_services_come_back(type, key):
    async def main():
        place = bootstrap.ApiPlace(IPv4Address("10.32.0.1"), 6443, IPv4Network("100.64.0.0/16"))
        node = Node()
        await bootstrap.ensure_namespaces(node.collections["Namespace"])
        await bootstrap.ensure_kubernetes(node.collections, place)
        caches = {type: Informer(type, node.store) for type in (SERVICE, ENDPOINTS, SLICE)}
        loop = Loop(bootstrap.KubernetesService(node.collections, place), caches, node.store)
        node.parts = [*caches.values(), loop]
        async with asyncio.TaskGroup() as group:
            group.create_task(node.settle(seconds=30))
            await asyncio.sleep(5)
            await node.collections[type].delete(key)
            await asyncio.sleep(5)
            return [node.collections[type].find(key) is not None for type in caches]

    assert run(main()) == [True, True, True]
