"""Namespaces: emptied before they go; each has its ServiceAccount; nothing new comes into one that is going."""

from __future__ import annotations

import pytest

from coracle.core.collection import Deletion
from coracle.core.errors import Forbidden, Invalid
from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers.namespaces import Namespaces
from coracle.kube.controllers.serviceaccounts import DefaultAccounts
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod, a_service, place

SHOP = Key("", "shop")


class Cluster(Stage):
    def __init__(self):
        super().__init__()
        contents = [collection for collection in self.collections.values() if collection.kind.namespaced]
        self.run(Namespaces(self.caches, self["Namespace"], contents, self.clock))
        self.run(DefaultAccounts(self.caches, self["ServiceAccount"]))


def test_a_namespace_takes_all_with_it():
    async def main():
        cluster = Cluster()
        await cluster.rooms("shop")
        await cluster["Pod"].create(a_pod("one", namespace="shop"))
        await cluster["Service"].create(a_service(namespace="shop"))
        await cluster["Pod"].create(a_pod("elsewhere"))
        await cluster["Namespace"].delete(SHOP)
        await cluster.settle(5)
        assert cluster["Namespace"].find(SHOP) is None
        assert [pod.meta.name for pod in cluster["Pod"].list()] == ["elsewhere"]
        assert cluster["Service"].list() == []

    run(main())


def test_it_waits_for_pods_that_take_their_time_and_says_so():
    async def main():
        cluster = Cluster()
        await cluster.rooms("shop")
        pod = await cluster["Pod"].create(a_pod("one", namespace="shop"))
        await place(cluster, pod.key)
        await cluster["Namespace"].delete(SHOP)
        await cluster.settle(5)
        status = cluster["Namespace"].get(SHOP).status
        remaining = next(c for c in status["conditions"] if c["type"] == "NamespaceContentRemaining")
        assert status["phase"] == "Terminating"
        assert remaining["message"] == "Some resources are remaining: pods. has 1 resource instances"
        await cluster["Pod"].delete(pod.key, Deletion(grace_s=0))
        await cluster.settle(0.5)
        assert cluster["Namespace"].find(SHOP) is None

    run(main())


def test_pods_go_before_everything_else():
    async def main():
        cluster = Cluster()
        await cluster.rooms("shop")
        held = a_pod("held", namespace="shop").with_meta(finalizers=("example.com/f",))
        await cluster["Pod"].create(held)
        await cluster["ConfigMap"].create(Object("ConfigMap", Meta(name="config", namespace="shop")))
        await cluster["Namespace"].delete(SHOP)
        await cluster.settle(5)
        assert cluster["Pod"].get(held.key).meta.deleting
        assert not cluster["ConfigMap"].get(Key("shop", "config")).meta.deleting
        await cluster["Pod"].change(held.key, lambda pod: pod.with_meta(finalizers=()))
        await cluster.settle(5)
        assert cluster["Namespace"].find(SHOP) is None

    run(main())


def test_nothing_new_comes_into_a_namespace_that_is_going():
    async def main():
        cluster = Cluster()
        await cluster.rooms("shop")
        await cluster["Namespace"].delete(SHOP)
        with pytest.raises(Forbidden, match="unable to create new content in namespace shop because it is being"):
            await cluster["Pod"].create(a_pod("late", namespace="shop"))

    run(main())


def test_only_the_loop_lets_a_namespace_go():
    async def main():
        cluster = Cluster()
        await cluster.rooms("shop")
        with pytest.raises(Invalid, match="finalize subresource"):
            await cluster["Namespace"].change(SHOP, lambda room: room.with_spec(finalizers=[]))
        await cluster["Namespace"].update(Object("Namespace", Meta(name="shop", labels={"a": "b"})))
        assert cluster["Namespace"].get(SHOP).spec["finalizers"] == ["kubernetes"]

    run(main())


def test_every_namespace_has_its_account_and_gets_it_back():
    async def main():
        cluster = Cluster()
        await cluster.rooms("shop")
        await cluster.settle(1)
        accounts = cluster["ServiceAccount"]
        assert [str(account.key) for account in accounts.list()] == ["default/default", "shop/default"]
        await accounts.delete(Key("shop", "default"))
        await cluster.settle(1)
        assert accounts.find(Key("shop", "default")) is not None

    run(main())


def test_an_empty_namespace_that_somebody_holds_says_that_nothing_is_left():
    async def main():
        cluster = Cluster()
        await cluster.rooms("shop")
        held = ["kubernetes", "example.com/f"]
        await cluster["Namespace"].change(SHOP, lambda room: room.with_spec(finalizers=held), "finalize")
        await cluster["Namespace"].delete(SHOP)
        await cluster.settle(5)
        room = cluster["Namespace"].get(SHOP)
        assert (room.status["phase"], room.spec["finalizers"]) == ("Terminating", ["example.com/f"])
        assert {one["status"] for one in room.status["conditions"]} == {"False"}
        await cluster["Namespace"].change(SHOP, lambda room: room.with_spec(finalizers=[]), "finalize")
        assert cluster["Namespace"].find(SHOP) is None

    run(main())
