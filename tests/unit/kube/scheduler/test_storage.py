"""What claims say about where pods run."""

from __future__ import annotations

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds import priorityclass
from coracle.kube.kinds.conditions import condition
from coracle.kube.kinds.nodeterms import Place
from coracle.kube.scheduler.storage import ELSEWHERE, IN_USE, NOTHING_FREE, Needs
from coracle.testing.autojump import run
from coracle.testing.kube import a_node, a_pod
from unit.kube.controllers.storage.house import a_claim, a_class, a_volume
from unit.kube.scheduler.test_binding import Cluster


def on(node):
    need = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [need]}]}}}


def chosen(node):
    return a_claim(annotations={"volume.kubernetes.io/selected-node": node})


def within(node):
    return ({"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": [node]}]},)


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        pytest.param(Needs(), "", id="no claims"),
        pytest.param(Needs(bound=(a_volume(**on("n1")),)), "", id="its volume is here"),
        pytest.param(Needs(bound=(a_volume(**on("n2")),)), ELSEWHERE, id="its volume is elsewhere"),
        pytest.param(Needs(open=((a_claim(), None),)), "", id="a volume can be made"),
        pytest.param(Needs(open=((a_claim(), (a_volume(**on("n2")),)),)), NOTHING_FREE, id="none is free here"),
        pytest.param(Needs(open=((a_claim(), (a_volume(**on("n1")),)),)), "", id="one is free here"),
        pytest.param(Needs(open=((chosen("n2"), None),)), NOTHING_FREE, id="it is being made elsewhere"),
        pytest.param(Needs(open=((a_claim(), None),), places=(within("n1"),)), "", id="it can be made here"),
        pytest.param(Needs(open=((a_claim(), None),), places=(within("n2"),)), NOTHING_FREE, id="it can be made elsewhere only"),
        pytest.param(Needs(open=((a_claim(), None),), places=(within("n2") + within("n1"),)), "", id="here or elsewhere"),
        pytest.param(Needs(open=((a_claim(), None),), places=(within("n1"), within("n2"))), NOTHING_FREE, id="two, that can be made nowhere together"),
        pytest.param(Needs(taken=frozenset(["n2"])), IN_USE, id="another pod has it alone, elsewhere"),
        pytest.param(Needs(taken=frozenset(["n1"])), "", id="another pod has it alone, here: the filters know"),
    ],
)  # fmt: skip
def test_what_claims_have_against_a_node(needs, said):
    assert needs.repels(Place("n1", {"kubernetes.io/hostname": "n1"})) == said


def with_claim(name, claim="data"):
    return a_pod(name, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": claim}}])


async def bind(cluster, name="data", volume="disk"):
    key = Key("default", name)
    await cluster["PersistentVolumeClaim"].change(key, lambda now: now.with_spec(volumeName=volume))
    await cluster["PersistentVolumeClaim"].change(key, lambda now: now.with_status(phase="Bound"), "status")


async def a_cluster():
    cluster = Cluster()
    await cluster.rooms()
    await cluster["Node"].create(a_node())
    return cluster


def refusal(cluster, name):
    return condition(cluster["Pod"].get(Key("default", name)), "PodScheduled").get("message", "")


def test_a_pod_waits_for_its_claim_to_come_and_to_be_bound():
    async def main():
        cluster = await a_cluster()
        await cluster["Pod"].create(with_claim("one"))
        await cluster.settle(1)
        none = "0/1 nodes are available"
        assert refusal(cluster, "one") == (
            f'{none}: persistentvolumeclaim "data" not found. no new claims to deallocate, preemption: {none}: '
            "1 Preemption is not helpful for scheduling."
        )
        await cluster["PersistentVolumeClaim"].create(a_claim())
        await cluster.settle(1)
        assert "pod has unbound immediate PersistentVolumeClaims" in refusal(cluster, "one")
        await cluster["PersistentVolume"].create(a_volume())
        await bind(cluster)
        await cluster.settle(1)
        assert cluster.nodes_of() == {"one": "n1"}

    run(main())


def test_a_claim_that_waits_for_its_pod_is_told_the_node_first():
    async def main():
        cluster = await a_cluster()
        await cluster["StorageClass"].create(a_class(volumeBindingMode="WaitForFirstConsumer"))
        await cluster["PersistentVolumeClaim"].create(a_claim(storageClassName="fast"))
        await cluster["Pod"].create(with_claim("one"))
        await cluster.settle(1)
        claim = cluster["PersistentVolumeClaim"].get(Key("default", "data"))
        assert claim.meta.annotations["volume.kubernetes.io/selected-node"] == "n1"
        assert cluster.nodes_of() == {"one": ""}
        await bind(cluster)
        await cluster.settle(1)
        assert cluster.nodes_of() == {"one": "n1"}

    run(main())


def test_a_claim_for_one_pod_is_had_by_one():
    async def main():
        cluster = await a_cluster()
        await cluster["PersistentVolumeClaim"].create(a_claim(modes=("ReadWriteOncePod",)))
        await bind(cluster)
        for name in ("one", "two"):
            await cluster["Pod"].create(with_claim(name))
            await cluster.settle(1)
        assert cluster.nodes_of() == {"one": "n1", "two": ""}
        assert IN_USE in refusal(cluster, "two")
        assert "1 No preemption victims found for incoming pod" in refusal(cluster, "two")
        await cluster["Pod"].change(Key("default", "one"), lambda pod: pod.with_status(phase="Succeeded"), "status")
        await cluster.settle(1)
        assert cluster.nodes_of()["two"] == "n1"

    run(main())


def test_a_pod_that_matters_more_drives_another_from_a_claim_for_one_pod():
    async def main():
        cluster = await a_cluster()
        await cluster["PersistentVolumeClaim"].create(a_claim(modes=("ReadWriteOncePod",)))
        await bind(cluster)
        await cluster["Pod"].create(with_claim("low"))
        await cluster.settle(1)
        await cluster["PriorityClass"].create(
            Object("PriorityClass", Meta(name="vip"), {"value": 10}, priorityclass.API)
        )
        await cluster["Pod"].create(with_claim("high").with_spec(priorityClassName="vip", priority=None))
        await cluster.settle(1)
        low = cluster["Pod"].find(Key("default", "low"))
        assert low is None or low.meta.deleting
        assert cluster["Pod"].get(Key("default", "high")).status.get("nominatedNodeName") == "n1"

    run(main())


def test_a_class_says_where_its_volumes_may_be_made_and_a_lost_claim_that_it_is():
    async def main():
        cluster = await a_cluster()
        late = {"volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": list(within("n2"))}
        await cluster["StorageClass"].create(a_class(**late))
        await cluster["PersistentVolumeClaim"].create(a_claim(storageClassName="fast"))
        await cluster["PersistentVolumeClaim"].create(a_claim("lost", storageClassName=""))
        key = Key("default", "lost")
        await cluster["PersistentVolumeClaim"].change(key, lambda now: now.with_spec(volumeName="gone"))
        await cluster["PersistentVolumeClaim"].change(key, lambda now: now.with_status(phase="Lost"), "status")
        for name, claim in (("one", "data"), ("two", "lost")):
            await cluster["Pod"].create(with_claim(name, claim))
        await cluster.settle(1)
        assert NOTHING_FREE in refusal(cluster, "one")
        assert 'persistentvolumeclaim "lost" bound to non-existent persistentvolume "gone"' in refusal(cluster, "two")
        await cluster["Node"].create(a_node("n2"))
        await cluster.settle(1)
        chosen = cluster["PersistentVolumeClaim"].get(Key("default", "data")).meta.annotations
        assert chosen["volume.kubernetes.io/selected-node"] == "n2"

    run(main())
