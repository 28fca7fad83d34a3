"""Endpoints that users write: mirrored into slices where their Service has no selector."""

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import mirroring
from coracle.kube.controllers.mirroring import Mirroring, is_mirrored, mirrors
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_service

DB = Key("default", "db")
SUBSET = {"addresses": [{"ip": "192.0.2.5"}], "ports": [{"port": 5432, "protocol": "TCP"}]}
LABELS = {
    "kubernetes.io/service-name": "db",
    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
}


def some_endpoints(*subsets, **meta):
    return Object("Endpoints", Meta(name="db", namespace="default", **meta), {"subsets": list(subsets or [SUBSET])})


def a_db(**spec):
    return a_service("db", selector={}, ports=[{"port": 5432}], **spec)


@pytest.mark.parametrize(
    ("service", "endpoints", "expected"),
    [
        pytest.param(a_db(), some_endpoints(), True, id="without a selector"),
        pytest.param(a_service("db"), some_endpoints(), False, id="with one"),
        pytest.param(None, some_endpoints(), False, id="no service"),
        pytest.param(a_db(), None, False, id="no endpoints"),
        pytest.param(a_db(), some_endpoints(labels={mirroring.SKIP: "true"}), False, id="told not to"),
        pytest.param(
            a_db(),
            some_endpoints(annotations={"control-plane.alpha.kubernetes.io/leader": "x"}),
            False,
            id="an election",
        ),
    ],
)
def test_what_is_mirrored(service, endpoints, expected):
    assert is_mirrored(service, endpoints) is expected


@pytest.mark.parametrize(
    ("subsets", "expected"),
    [
        pytest.param(
            [{**SUBSET, "notReadyAddresses": [{"ip": "192.0.2.6", "hostname": "h", "nodeName": "n"}]}],
            [("IPv4", [("192.0.2.5", True), ("192.0.2.6", False)], [("", 5432)])],
            id="ready and not",
        ),
        pytest.param(
            [SUBSET, {"addresses": [{"ip": "192.0.2.7"}], "ports": [{"name": "http", "port": 80}]}],
            [("IPv4", [("192.0.2.5", True)], [("", 5432)]), ("IPv4", [("192.0.2.7", True)], [("http", 80)])],
            id="a slice for each set of ports",
        ),
        pytest.param(
            [SUBSET, {**SUBSET, "addresses": [{"ip": "192.0.2.8"}]}],
            [("IPv4", [("192.0.2.5", True), ("192.0.2.8", True)], [("", 5432)])],
            id="the same ports, together",
        ),
        pytest.param(
            [{**SUBSET, "addresses": [{"ip": "192.0.2.5"}, {"ip": "2001:db8::5"}]}],
            [("IPv4", [("192.0.2.5", True)], [("", 5432)]), ("IPv6", [("2001:db8::5", True)], [("", 5432)])],
            id="a slice for each family",
        ),
    ],
)
def test_contents(subsets, expected):
    found = [
        (
            content["addressType"],
            [(one["addresses"][0], one["conditions"]["ready"]) for one in content["endpoints"]],
            [(port["name"], port["port"]) for port in content["ports"]],
        )
        for content in mirrors(some_endpoints(*subsets))
    ]
    assert found == expected


class Cluster(Stage):
    def __init__(self):
        super().__init__(mirroring.INDEXES)
        self.run(Mirroring(self.caches, self["EndpointSlice"], self.recorder))

    def slices(self):
        return [slice for slice in self["EndpointSlice"].list() if slice.meta.labels.items() >= LABELS.items()]


def test_slices_follow_the_endpoints():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        notes = {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
        await cluster["Endpoints"].create(some_endpoints(labels={"tier": "data"}, annotations=notes))
        await cluster.settle(1)
        assert cluster.slices() == []
        await cluster["Service"].create(a_db())
        await cluster.settle(1)
        (slice,) = cluster.slices()
        assert slice.meta.labels == {**LABELS, "tier": "data"}
        assert (slice.meta.annotations, slice.meta.controller.kind) == ({"note": "x"}, "Endpoints")
        new = {**SUBSET, "addresses": [{"ip": "192.0.2.9"}]}
        await cluster["Endpoints"].change(DB, lambda old: old.with_body(subsets=[new]))
        await cluster.settle(1)
        (changed,) = cluster.slices()
        assert (changed.meta.name, changed.body["endpoints"][0]["addresses"]) == (slice.meta.name, ["192.0.2.9"])
        other = {**SUBSET, "ports": [{"name": "http", "port": 80}]}
        for subsets in ([new, other], [other]):
            await cluster["Endpoints"].change(DB, lambda old, subsets=subsets: old.with_body(subsets=subsets))
            await cluster.settle(1)
            assert len(cluster.slices()) == len(subsets)
        await cluster["Endpoints"].delete(DB)
        await cluster.settle(1)
        assert cluster.slices() == []

    run(main())


def test_what_is_not_mirrored_any_more_goes():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster["Endpoints"].create(some_endpoints())
        await cluster["Service"].create(a_db())
        await cluster.settle(1)
        assert len(cluster.slices()) == 1
        await cluster["Service"].change(DB, lambda db: db.with_spec(selector={"app": "db"}))
        await cluster.settle(1)
        assert cluster.slices() == []

    run(main())


def test_too_many_addresses_are_said():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        many = [{"ip": f"10.0.{number // 250}.{number % 250 + 1}"} for number in range(1003)]
        await cluster["Endpoints"].create(some_endpoints({**SUBSET, "addresses": many}))
        await cluster["Service"].create(a_db())
        await cluster.settle(1)
        (slice,) = cluster.slices()
        assert len(slice.body["endpoints"]) == 1000
        (said,) = cluster.said("TooManyAddressesToMirror")
        assert said.endswith("3 addresses were skipped")

    run(main())
