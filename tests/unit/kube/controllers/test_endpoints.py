"""Endpoints and EndpointSlices: the ready pods behind each Service, no more and no less."""

from __future__ import annotations

import asyncio

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import addresses, endpoints
from coracle.kube.controllers.endpoints import EndpointsSync
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod, a_service, place

WEB = Key("default", "web")


def a_backend(number, **fields):
    known = {"ip": f"10.32.0.{number}", "node": "n1", "name": f"p{number}", "namespace": "default", "uid": f"u{number}"}
    return addresses.Backend(**known, **{"serving": True, **fields})


HTTP = (("", 80, "TCP"),)


@pytest.mark.parametrize(
    ("backend", "where", "conditions"),
    [
        pytest.param(a_backend(1), "addresses", (True, True, False), id="ready"),
        pytest.param(a_backend(1, serving=False), "notReadyAddresses", (False, False, False), id="not ready"),
        pytest.param(a_backend(1, terminating=True), "", (False, True, True), id="on its way out, still serving"),
        pytest.param(a_backend(1, serving=False, publish=True), "addresses", (True, False, False), id="published"),
    ],
)
def test_where_a_pod_is_told(backend, where, conditions):
    found = {HTTP: [backend]}
    subsets = addresses.subsets(a_service(), found)
    assert [name for subset in subsets for name in subset if name != "ports"] == ([where] if where else [])
    (endpoint,) = addresses.contents(found)[0]["endpoints"]
    assert tuple(endpoint["conditions"].values()) == conditions


@pytest.mark.parametrize(
    ("distribution", "zone", "hints"),
    [
        ("", "a", None),
        ("PreferClose", "", None),
        ("PreferClose", "a", {"forZones": [{"name": "a"}]}),
        ("PreferSameZone", "a", {"forZones": [{"name": "a"}]}),
        ("PreferSameNode", "", {"forNodes": [{"name": "n1"}]}),
        ("PreferSameNode", "a", {"forZones": [{"name": "a"}], "forNodes": [{"name": "n1"}]}),
    ],
)
def test_for_whom_an_endpoint_is(distribution, zone, hints):
    (endpoint,) = addresses.contents({HTTP: [a_backend(1, zone=zone)]}, distribution)[0]["endpoints"]
    assert (endpoint.get("zone", ""), endpoint.get("hints")) == (zone, hints)


def test_a_slice_holds_a_hundred():
    contents = addresses.contents({HTTP: [a_backend(number % 250) for number in range(250)]})
    assert [len(content["endpoints"]) for content in contents] == [100, 100, 50]


def test_endpoints_hold_a_thousand_ready_ones_first_and_say_so():
    backends = [a_backend(number, serving=number >= 200) for number in range(1100)]
    found = {HTTP: backends[::2], (("", 81, "TCP"),): backends[1::2]}
    subsets = addresses.subsets(a_service(), found)
    assert sum(len(subset["addresses"]) for subset in subsets) == 900
    assert sum(len(subset.get("notReadyAddresses", ())) for subset in subsets) == 100
    assert addresses.notes(found) == {"endpoints.kubernetes.io/over-capacity": "truncated"}
    assert addresses.notes({HTTP: backends[:1000]}) == {}


def test_a_service_without_pods_has_one_empty_slice():
    assert addresses.contents({}) == [{"endpoints": [], "ports": []}]


def a_slice(name, ports):
    return Object("EndpointSlice", Meta(name=name), {"ports": ports}, "discovery.k8s.io/v1")


def test_contents_go_into_the_slice_with_the_same_ports():
    http, other = [{"port": 80}], [{"port": 81}]
    wanted = [{"ports": other, "endpoints": []}, {"ports": http, "endpoints": []}]
    one, two = a_slice("one", http), a_slice("two", [{"port": 82}])
    todo = addresses.match(wanted, [one, two])
    assert todo.change == ((one, wanted[1]), (two, wanted[0]))
    assert addresses.match(wanted[:1], [one, two]).remove == (two,)
    assert addresses.match(wanted, [one]).make == (wanted[0],)


class Cluster(Stage):
    def __init__(self):
        super().__init__(endpoints.INDEXES)
        self.run(EndpointsSync(self.caches, self["Endpoints"], self["EndpointSlice"]))

    async def pod(self, name, number, **spec):
        created = await self["Pod"].create(a_pod(name, **spec))
        await place(self, created.key, ip=f"10.32.0.{number}")
        return created.key

    def told(self):
        """The addresses in Endpoints, and those that the slices say are ready."""
        subsets = self["Endpoints"].get(WEB).body.get("subsets", [])
        old = [f"{a['ip']}:{p['port']}" for s in subsets for p in s["ports"] for a in s.get("addresses", [])]
        new = [
            f"{endpoint['addresses'][0]}:{port['port']}"
            for slice in self["EndpointSlice"].list()
            for port in slice.body["ports"]
            for endpoint in slice.body["endpoints"]
            if endpoint["conditions"]["ready"]
        ]
        assert sorted(old) == sorted(new)
        return sorted(old)


def test_endpoints_follow_the_pods():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Service"].create(a_service())
        await cluster.settle(1)
        assert cluster.told() == []
        one, two = await cluster.pod("one", 1), await cluster.pod("two", 2)
        await cluster.pod("stranger", 3, labels={"app": "db"})
        await cluster.settle(1)
        assert cluster.told() == ["10.32.0.1:80", "10.32.0.2:80"]
        await place(cluster, two, ip="10.32.0.2", ready=False)
        await cluster.settle(1)
        assert cluster.told() == ["10.32.0.1:80"]
        await cluster["Pod"].delete(one)
        await cluster.settle(1)
        assert cluster.told() == []
        (slice,) = cluster["EndpointSlice"].list()
        assert [e["conditions"]["terminating"] for e in slice.body["endpoints"]] == [True, False]
        assert slice.meta.controller.name == "web"

    run(main())


def test_slices_follow_the_zone_of_their_nodes():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Node"].create(a_node("n1"))
        await cluster["Service"].create(a_service(trafficDistribution="PreferSameZone"))
        await cluster.pod("one", 1)
        await cluster.settle(1)
        seen = [[slice.body["endpoints"][0].get("zone") for slice in cluster["EndpointSlice"].list()]]
        zone = {"topology.kubernetes.io/zone": "a"}
        await cluster["Node"].change(Key("", "n1"), lambda node: node.with_meta(labels={**node.meta.labels, **zone}))
        await cluster.settle(1)
        (slice,) = cluster["EndpointSlice"].list()
        return seen, slice.body["endpoints"][0]["zone"], slice.body["endpoints"][0]["hints"]

    assert run(main()) == ([[None]], "a", {"forZones": [{"name": "a"}]})


def test_endpoints_that_users_write_go_with_their_service_only():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        mine = Object(
            "Endpoints", Meta(name="web", namespace="default"), {"subsets": [{"addresses": [{"ip": "192.0.2.1"}]}]}
        )
        await cluster["Endpoints"].create(mine)
        await cluster.settle(1)
        assert cluster["Endpoints"].find(WEB)
        await cluster["Service"].create(a_service(selector={}))
        await cluster.settle(1)
        assert cluster["Endpoints"].find(WEB)

        async with asyncio.TaskGroup() as group:
            group.create_task(cluster.settle(5))
            await asyncio.sleep(1)
            await cluster["Service"].delete(WEB)
        assert cluster["Endpoints"].find(WEB) is None
        await cluster["Endpoints"].create(mine)
        await cluster.settle(1)
        assert cluster["Endpoints"].find(WEB)

    run(main())


def test_a_mark_of_too_many_goes_and_others_notes_stay():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Service"].create(a_service())
        await cluster.settle(1)
        notes = {"note": "mine", addresses.OVER_CAPACITY: "truncated"}
        await cluster["Endpoints"].change(WEB, lambda old: old.with_meta(annotations=notes))
        await cluster.settle(1)
        assert cluster["Endpoints"].get(WEB).meta.annotations == {"note": "mine"}
        revision = cluster.store.revision
        await cluster.settle(60)
        assert cluster.store.revision == revision

    run(main())


def test_a_named_port_is_looked_up_in_each_pod():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Service"].create(a_service(ports=[{"port": 80, "targetPort": "http"}]))
        for number in (80, 8080):
            ports = [{"name": "http", "containerPort": number}]
            container = {"name": "www", "image": "nginx", "ports": ports}
            await cluster.pod(f"p{number}", number % 100, containers=[container])
        await cluster.settle(1)
        assert cluster.told() == ["10.32.0.80:80", "10.32.0.80:8080"]
        assert len(cluster["EndpointSlice"].list()) == 2

    run(main())


def test_a_service_without_selector_is_left_alone():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Service"].create(a_service(selector={}))
        mine = Object(
            "Endpoints", Meta(name="web", namespace="default"), {"subsets": [{"addresses": [{"ip": "9.9.9.9"}]}]}
        )
        await cluster["Endpoints"].create(mine)
        await cluster.settle(1)
        assert cluster["Endpoints"].get(WEB).body == mine.body
        assert cluster["EndpointSlice"].list() == []

    run(main())


def test_a_deleted_slice_comes_back_and_a_deleted_service_takes_all():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Service"].create(a_service())
        await cluster.pod("one", 1)
        await cluster.settle(1)
        await cluster["EndpointSlice"].delete(cluster["EndpointSlice"].list()[0].key)
        await cluster.settle(1)
        assert cluster.told() == ["10.32.0.1:80"]
        await cluster["Endpoints"].delete(WEB)
        await cluster.settle(1)
        assert cluster.told() == ["10.32.0.1:80"]
        await cluster["Service"].delete(WEB)
        await cluster.settle(1)
        assert cluster["Endpoints"].list() == []
        assert cluster["EndpointSlice"].list() == []

    run(main())


def test_a_pod_that_changes_its_labels_leaves():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Service"].create(a_service())
        one = await cluster.pod("one", 1)
        await cluster.settle(1)
        await cluster["Pod"].change(one, lambda pod: pod.with_meta(labels={"app": "debug"}))
        await cluster.settle(1)
        assert cluster.told() == []

    run(main())


def test_nothing_is_written_where_nothing_changes():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Service"].create(a_service())
        one = await cluster.pod("one", 1)
        await cluster.settle(5)
        before = cluster.store.revision
        await cluster["Pod"].change(one, lambda pod: pod.with_meta(annotations={"note": "x"}))
        await cluster.settle(5)
        assert cluster.store.revision == before + 1

    run(main())
