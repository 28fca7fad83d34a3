import asyncio
from ipaddress import IPv4Address, IPv6Address

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.loop import Loop
from coracle.core.object import Meta, Object
from coracle.core.store import MemoryStore
from coracle.core.tasks import running
from coracle.docker.names import CONTAINER, SANDBOX, SandboxNames, of_container, of_pod
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import sandbox as sandboxes
from coracle.net.zones import Pointer
from coracle.testing.autojump import run

ID = "c" * 64


def container(name="web", aliases=(), hostname="", id=ID):
    endpoints = {"n1": {"Aliases": list(aliases)}}
    details = {"Config": {"Hostname": hostname}, "NetworkingConfig": {"EndpointsConfig": endpoints}}
    spec = {"name": name, "made_by": "docker", "details": details}
    return Object("Container", Meta(name=id), {"spec": spec, "status": {"state": "running"}}, containers.API)


def sandbox(*endpoints, name=ID, labels=None, state="ready"):
    there = [
        {"network": network, "address": address, "address6": address6, "state": "ready"}
        for network, address, address6 in endpoints
    ]
    return Object(
        "Sandbox",
        Meta(name=name, labels=labels or {}),
        {"spec": {}, "status": {"state": state, "endpoints": there}},
        sandboxes.API,
    )


def test_on_a_users_network_a_container_has_many_names():
    told = of_container(container(aliases=["www"], hostname="box"), sandbox(("n1", "10.1.0.2", "fd00::2")))
    addresses = [IPv4Address("10.1.0.2"), IPv6Address("fd00::2")]
    assert set(told) == {"n1"}
    assert all(told["n1"][name] == addresses for name in ("web", "www", "box", ID[:12]))
    assert told["n1"]["2.0.1.10.in-addr.arpa"] == [Pointer("web.n1")]
    assert sum(name.endswith(".ip6.arpa") for name in told["n1"]) == 1


def test_on_the_default_network_pods_know_it_too():
    told = of_container(container(aliases=["www"]), sandbox(("bridge", "172.17.0.2", "")))
    assert set(told) == {"bridge", "pods"}
    assert told["bridge"] == told["pods"]
    assert set(told["bridge"]) == {"web", ID[:12], "2.0.17.172.in-addr.arpa"}


def test_nobody_takes_names_of_the_world():
    assert set(of_container(container("example.com"), sandbox(("bridge", "172.17.0.2", "")))["pods"]) == {
        ID[:12],
        "2.0.17.172.in-addr.arpa",
    }
    assert "example.com" in of_container(container("example.com"), sandbox(("n1", "10.1.0.2", "")))["n1"]
    assert "localhost" not in of_container(container("localhost"), sandbox(("n1", "10.1.0.2", "")))["n1"]
    assert set(of_container(container("x" * 100), sandbox(("n1", "10.1.0.2", "")))["n1"]) == {
        ID[:12],
        "2.0.1.10.in-addr.arpa",
    }


def test_what_is_not_plugged_in_has_no_name():
    leaving = sandbox(("n1", "10.1.0.2", ""))
    leaving.status["endpoints"][0]["state"] = "leaving"
    assert of_container(container(), leaving) == {}


def test_pods_are_known_to_containers():
    labels = {"io.kubernetes.pod.name": "cart", "io.kubernetes.pod.namespace": "shop"}
    told = of_pod(sandbox(("pods", "10.32.0.5", ""), labels=labels))
    assert set(told) == {"bridge", "pods"}
    assert set(told["bridge"]) == {"cart", "cart.shop", "5.0.32.10.in-addr.arpa"}


class Told:
    """A name server that remembers what it was told last."""

    def __init__(self):
        self.records = {}

    def publish(self, source, records, network):
        self.records[source, network] = set(records)
        if not records:
            del self.records[source, network]


def test_names_come_and_go_with_their_sandboxes():
    async def main():
        store, clock, told = MemoryStore(), LoopClock(), Told()
        boxes, made = Collection(sandboxes.KIND, store, clock), Collection(containers.KIND, store, clock)
        caches = {type: Informer(type, store) for type in (SANDBOX, CONTAINER)}
        loop = Loop(SandboxNames(caches, told), caches, store)
        spec = {
            "network": "",
            "hostname": "",
            "domain": "",
            "hosts": [],
            "sysctls": {},
            "endpoints": [],
            "host_network": False,
        }
        spec["dns"] = {"servers": [], "searches": [], "options": []}

        async def settled():
            for cache in caches.values():
                await cache.wait_revision(store.revision)
            await asyncio.sleep(0.1)  # on virtual time: when nothing else is to be done

        async with running(caches[SANDBOX]), running(caches[CONTAINER]), running(loop):
            await made.create(container())
            box = sandbox(("n1", "10.1.0.2", ""), state="making")
            box = await boxes.create(Object(box.kind, box.meta, {**box.body, "spec": spec}, box.api))
            await settled()
            assert told.records == {}
            await boxes.change(box.key, lambda now: now.with_status(state="ready"))
            await settled()
            assert told.records == {(f"docker/{ID}", "n1"): {"web", ID[:12], "2.0.1.10.in-addr.arpa"}}
            await made.change(containers.key(ID), lambda now: container("shop"))
            await settled()
            assert "shop" in told.records[f"docker/{ID}", "n1"]
            assert "web" not in told.records[f"docker/{ID}", "n1"]
            await boxes.delete(box.key)
            await settled()
            assert told.records == {}

    run(main())
