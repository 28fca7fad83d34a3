"""IPAddresses follow Services; ranges are ready, and go when nothing needs them."""

from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import clusterips
from coracle.kube.kinds.servicecidr import FINALIZER
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_service

API = "networking.k8s.io/v1"
MORE = Key("", "more")


def a_stage():
    stage = Stage(clusterips.INDEXES)
    stage.run(clusterips.ClusterIps(stage.caches, stage["IPAddress"]))
    stage.run(clusterips.ServiceRanges(stage.caches, stage["ServiceCIDR"], stage.clock))
    return stage


def parents(stage):
    return {one.meta.name: one.spec["parentRef"]["name"] for one in stage["IPAddress"].list()}


def a_range(name="more", *cidrs):
    return Object("ServiceCIDR", Meta(name=name), {"spec": {"cidrs": list(cidrs or ("203.0.113.0/24",))}}, API)


def ready(stage, name="more"):
    found = stage["ServiceCIDR"].find(Key("", name))
    return [(one["status"], one["reason"]) for one in found.status["conditions"]] if found is not None else None


def test_each_cluster_ip_has_an_address_object_for_as_long_as_its_service_lasts():
    async def main():
        stage = a_stage()
        await stage.rooms()
        await stage["Service"].create(a_service("web", clusterIP="100.64.0.20"))
        await stage["Service"].create(a_service("none", clusterIP="None"))
        await stage.settle(1)
        assert parents(stage) == {"100.64.0.20": "web"}
        await stage["IPAddress"].delete(Key("", "100.64.0.20"))
        await stage.settle(1)
        assert parents(stage) == {"100.64.0.20": "web"}, "it comes back"
        await stage["Service"].delete(Key("default", "web"))
        await stage["Service"].create(a_service("next", clusterIP="100.64.0.20"))
        await stage.settle(1)
        assert parents(stage) == {"100.64.0.20": "next"}, "the address passes to who has it now"
        await stage["Service"].delete(Key("default", "next"))
        await stage.settle(1)
        assert parents(stage) == {}

    run(main())


def test_a_range_widens_the_cluster_and_goes_when_its_addresses_have():
    async def main():
        stage = a_stage()
        await stage.rooms()
        await stage["ServiceCIDR"].create(a_range())
        await stage.settle(1)
        assert ready(stage) == [("True", "")]
        assert FINALIZER in stage["ServiceCIDR"].get(MORE).meta.finalizers
        await stage["Service"].create(a_service("web", clusterIP="203.0.113.10"))
        await stage.settle(1)
        await stage["ServiceCIDR"].delete(MORE)
        await stage.settle(1)
        assert ready(stage) == [("False", "Terminating")]
        await stage["Service"].delete(Key("default", "web"))
        await stage.settle(1)
        assert ready(stage) is None

    run(main())


def test_a_range_whose_addresses_are_in_another_goes_at_once():
    async def main():
        stage = a_stage()
        await stage.rooms()
        await stage["ServiceCIDR"].create(a_range())
        await stage["Service"].create(a_service("web", clusterIP="203.0.113.10"))
        await stage.settle(1)
        await stage["ServiceCIDR"].delete(MORE)
        await stage.settle(1)
        await stage["ServiceCIDR"].create(a_range("wider", "203.0.112.0/23"))
        await stage.settle(1)
        assert (ready(stage), ready(stage, "wider")) == (None, [("True", "")])

    run(main())
