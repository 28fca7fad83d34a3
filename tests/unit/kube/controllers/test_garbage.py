"""What belongs to something that is gone goes too, in the way that was asked for."""

from __future__ import annotations

import pytest

from coracle.core.collection import Deletion
from coracle.core.object import Key, Meta, Object, Owner
from coracle.kube.controllers.garbage import Fate, Garbage, decide
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, an_rc

NOW = "2023-11-14T20:00:00Z"
POD = Object("Pod", Meta(name="p"))
GOING = Object("Pod", Meta(name="p", deleting=NOW))
WAITING = Object("Pod", Meta(name="p", deleting=NOW, finalizers=("foregroundDeletion",)))
HELD = Object("Pod", Meta(name="p", deleting=NOW, finalizers=("example.com/f",)))
LETS_STAY = Object("Pod", Meta(name="p", finalizers=("orphan",)))
LETS_GO = Object("Pod", Meta(name="p", finalizers=("foregroundDeletion",)))


@pytest.mark.parametrize(
    ("obj", "verdicts", "dependents", "fate"),
    [
        pytest.param(POD, {}, [], Fate(), id="no owner, no garbage"),
        pytest.param(POD, {"a": "solid"}, [], Fate(), id="its owner is there"),
        pytest.param(POD, {"a": "gone"}, [], Fate(delete=True), id="its owner is gone"),
        pytest.param(POD, {"a": "gone", "b": "solid"}, [], Fate(drop=("a",)), id="one owner of two is gone"),
        pytest.param(POD, {"a": "waiting", "b": "solid"}, [POD], Fate(drop=("a",)), id="one owner of two waits"),
        pytest.param(POD, {"a": "waiting"}, [], Fate(delete=True), id="its owner waits for it"),
        pytest.param(POD, {"a": "waiting"}, [POD], Fate(True, "Foreground"), id="and it has dependents of its own"),
        pytest.param(POD, {"a": "waiting"}, [GOING], Fate(True, "Foreground"), id="which go already"),
        pytest.param(POD, {"a": "waiting"}, [HELD], Fate(True, "Foreground"), id="which somebody else holds"),
        pytest.param(POD, {"a": "waiting"}, [LETS_GO], Fate(True, "Foreground"), id="which will wait"),
        pytest.param(POD, {"a": "waiting"}, [POD, WAITING], Fate(True, "Foreground", unblock=True), id="a circle"),
        pytest.param(POD, {"a": "gone"}, [WAITING], Fate(delete=True), id="nobody waits"),
        pytest.param(LETS_STAY, {"a": "gone"}, [], Fate(True, "Orphan"), id="its dependents are to stay"),
        pytest.param(LETS_GO, {"a": "gone"}, [], Fate(True, "Foreground"), id="its dependents are to go first"),
        pytest.param(GOING, {"a": "gone"}, [], Fate(), id="it is going already"),
    ],
)
def test_decide(obj, verdicts, dependents, fate):
    assert decide(obj, verdicts, dependents) == fate


def a_class(name):
    return Object("RuntimeClass", Meta(name=name), {"handler": "crun"}, "node.k8s.io/v1")


class Cluster(Stage):
    def __init__(self):
        super().__init__()
        self.run(Garbage(self.caches, self.collections, self.recorder))

    async def owned(self, name, *owners, finalizers=()):
        """A ConfigMap with these owners."""
        meta = Meta(name=name, namespace="default", owners=owners, finalizers=finalizers)
        return await self["ConfigMap"].create(Object("ConfigMap", meta))

    def names(self):
        return sorted(config.meta.name for config in self["ConfigMap"].list())


WEB = Key("default", "web")


def test_dependents_go_after_their_owner():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        rc = await cluster["ReplicationController"].create(an_rc(0))
        child = await cluster.owned("child", rc.as_owner())
        await cluster.owned("grandchild", child.as_owner())
        await cluster.owned("stranger")
        await cluster.settle(1)
        assert cluster.names() == ["child", "grandchild", "stranger"]
        await cluster["ReplicationController"].delete(WEB)
        await cluster.settle(1)
        assert cluster.names() == ["stranger"]

    run(main())


def test_orphans_stay():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        rc = await cluster["ReplicationController"].create(an_rc(0))
        await cluster.owned("child", rc.as_owner())
        await cluster["ReplicationController"].delete(WEB, Deletion(propagation="Orphan"))
        await cluster.settle(1)
        assert cluster["ReplicationController"].find(WEB) is None
        assert cluster["ConfigMap"].get(Key("default", "child")).meta.owners == ()

    run(main())


def test_in_the_foreground_the_owner_goes_last():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        rc = await cluster["ReplicationController"].create(an_rc(0))
        await cluster.owned("child", rc.as_owner(), finalizers=("example.com/hold",))
        await cluster["ReplicationController"].delete(WEB, Deletion(propagation="Foreground"))
        await cluster.settle(1)
        assert cluster["ReplicationController"].get(WEB).meta.finalizers == ("foregroundDeletion",)
        child = Key("default", "child")
        assert cluster["ConfigMap"].get(child).meta.deleting
        await cluster["ConfigMap"].change(child, lambda config: config.with_meta(finalizers=()))
        await cluster.settle(1)
        assert cluster["ReplicationController"].find(WEB) is None
        assert cluster.names() == []

    run(main())


def test_an_owner_does_not_wait_for_those_that_do_not_block_it():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        rc = await cluster["ReplicationController"].create(an_rc(0))
        ref = Owner(rc.api, rc.kind, rc.meta.name, rc.meta.uid, block_deletion=False)
        await cluster.owned("child", ref, finalizers=("example.com/hold",))
        await cluster["ReplicationController"].delete(WEB, Deletion(propagation="Foreground"))
        await cluster.settle(1)
        assert cluster["ReplicationController"].find(WEB) is None

    run(main())


def test_an_owner_that_never_was_or_has_another_uid_is_gone():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        rc = await cluster["ReplicationController"].create(an_rc(0))
        await cluster.owned("of-nobody", Owner("v1", "ReplicationController", "never", "u0"))
        await cluster.owned("of-another", Owner("v1", "ReplicationController", "web", "u0"))
        await cluster.owned("of-two", Owner("v1", "ReplicationController", "gone", "u0", False), rc.as_owner())
        await cluster.settle(1)
        assert cluster.names() == ["of-two"]
        assert [ref.name for ref in cluster["ConfigMap"].list()[0].meta.owners] == ["web"]

    run(main())


def test_owners_of_kinds_that_are_not_served_are_left_alone():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        await cluster.owned("foreign", Owner("example.com/v1", "Thing", "x", "u9"))
        await cluster.settle(1)
        assert cluster.names() == ["foreign"]

    run(main())


def test_owners_without_namespace():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        node = await cluster["Node"].create(Object("Node", Meta(name="n1")))
        await cluster.owned("of-node", node.as_owner())
        await cluster.settle(1)
        assert cluster.names() == ["of-node"]
        await cluster["Node"].delete(Key("", "n1"))
        await cluster.settle(1)
        assert cluster.names() == []

    run(main())


def test_owners_in_a_circle_go_together():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        first = await cluster.owned("first")
        second = await cluster.owned("second", first.as_owner())
        third = await cluster.owned("third", second.as_owner())
        await cluster["ConfigMap"].change(first.key, lambda one: one.with_meta(owners=(third.as_owner(),)))
        await cluster["ConfigMap"].delete(first.key, Deletion(propagation="Foreground"))
        await cluster.settle(1)
        assert cluster.names() == []

    run(main())


def test_a_circle_of_which_each_waits_already_is_broken():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        first = await cluster.owned("first")
        second = await cluster.owned("second", first.as_owner())
        third = await cluster.owned("third", second.as_owner(), finalizers=("example.com/hold",))
        await cluster.owned("fourth", third.as_owner())
        await cluster["ConfigMap"].change(first.key, lambda one: one.with_meta(owners=(third.as_owner(),)))
        for name in ("first", "second", "third"):
            await cluster["ConfigMap"].delete(Key("default", name), Deletion(propagation="Foreground"))
        await cluster.settle(1)
        assert cluster.names() == ["second", "third"]
        await cluster["ConfigMap"].change(third.key, lambda one: one.with_meta(finalizers=()))
        await cluster.settle(1)
        assert cluster.names() == []

    run(main())


def test_an_owner_of_another_namespace_is_none_and_told():
    async def main():
        cluster = Cluster()
        await cluster.rooms("other")
        owner = await cluster["Secret"].create(Object("Secret", Meta(name="owner", namespace="other")))
        await cluster.owned("child", owner.as_owner())
        await cluster.settle(1)
        assert cluster.names() == []
        named = f"[v1/Secret, namespace: default, name: owner, uid: {owner.meta.uid}]"
        assert cluster.said("OwnerRefInvalidNamespace") == [f'ownerRef {named} does not exist in namespace "default"']

    run(main())


def test_what_has_no_namespace_goes_after_an_owner_that_has_none():
    async def main():
        cluster = Cluster()
        owner = await cluster["RuntimeClass"].create(a_class("owner"))
        await cluster["RuntimeClass"].create(a_class("child").with_meta(owners=(owner.as_owner(),)))
        await cluster.settle(1)
        assert len(cluster["RuntimeClass"].list()) == 2
        await cluster["RuntimeClass"].delete(owner.key)
        await cluster.settle(1)
        assert cluster["RuntimeClass"].list() == []

    run(main())


def test_what_has_no_namespace_is_not_owned_by_what_has_one():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        config = await cluster.owned("config")
        meta = Meta(name="room", owners=(config.as_owner(),))
        await cluster["Namespace"].create(Object("Namespace", meta))
        await cluster["ConfigMap"].delete(config.key)
        await cluster.settle(1)
        assert cluster["Namespace"].find(Key("", "room")) is not None

    run(main())
