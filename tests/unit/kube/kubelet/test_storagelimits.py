"""Pods that hold more of the disk than they may."""

import pytest

from coracle.core.object import Key
from coracle.kube.kubelet.pressure import Evictor
from coracle.kube.kubelet.storagelimits import StorageLimits, broken, limited_volumes
from coracle.kube.kubelet.use import DiskUse
from coracle.kube.kubelet.volumes.service import empty_dir_limit
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod

MIB = 1 << 20
ONE = Key("default", "one")


def with_limit(name="one", limit="1Mi", medium=""):
    volume = {"name": "cache", "emptyDir": {"sizeLimit": limit, "medium": medium}}
    return a_pod(name, volumes=[volume], nodeName="n1")


class Held:
    """Says how much each pod holds."""

    def __init__(self, clock):
        self.bytes, self.looked_s, self._clock = 0, [], clock

    async def disk(self, pod):
        self.looked_s.append(round(self._clock.monotonic_s()))
        return DiskUse({}, {"cache": self.bytes})


async def a_stage(*pods):
    stage = Stage()
    await stage.rooms()
    held = Held(stage.clock)
    evictor = Evictor(stage["Pod"], stage.recorder, stage.clock)
    loop = StorageLimits(stage.caches, "n1", held.disk, evictor, stage.clock)
    stage.run(loop)
    for pod in pods:
        await stage["Pod"].create(pod)
    return stage, held


def test_a_pod_that_writes_too_much_has_failed():
    async def main():
        stage, held = await a_stage(with_limit())
        held.bytes = MIB
        await stage.settle(25)
        assert stage["Pod"].get(ONE).status["phase"] == "Pending"
        held.bytes = MIB + 1
        await stage.settle(15)
        status = stage["Pod"].get(ONE).status
        said = 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '
        assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", said)
        assert stage.said("Evicted") == [said]
        looks = len(held.looked_s)
        await stage.settle(60)
        assert len(held.looked_s) == looks

    run(main())


def test_nobody_looks_more_often_than_every_ten_seconds_or_without_a_limit():
    async def main():
        stage, held = await a_stage(with_limit(), with_limit("memory", medium="Memory"), a_pod("plain", nodeName="n1"))
        for number in range(20):
            labels = {"n": str(number)}
            await stage["Pod"].change(ONE, lambda pod, labels=labels: pod.with_meta(labels=labels))
            await stage.settle(1)
        assert 1 <= len(held.looked_s) <= 2

    run(main())


@pytest.mark.parametrize(
    ("asked", "memory", "limit"),
    [
        ({}, None, None),
        ({"sizeLimit": "1Mi"}, None, MIB),
        ({"medium": "Memory"}, "4Mi", 4 * MIB),
        ({"medium": "Memory", "sizeLimit": "1Mi"}, "4Mi", MIB),
        ({"medium": "Memory", "sizeLimit": "8Mi"}, "4Mi", 4 * MIB),
        ({"sizeLimit": "8Mi"}, "4Mi", 8 * MIB),
    ],
)
def test_the_limit_of_an_empty_dir(asked, memory, limit):
    volume = {"name": "v", "emptyDir": asked}
    resources = {"limits": {"memory": memory}} if memory else {}
    pod = a_pod("one", volumes=[volume], containers=[{"name": "c", "image": "i", "resources": resources}])
    assert empty_dir_limit(pod, volume) == limit
    on_disk = asked.get("medium") != "Memory" and limit is not None
    assert limited_volumes(pod) == ({"v": limit} if on_disk else {})


def limited_to(**limits):
    return a_pod(
        "one",
        containers=[
            {"name": name, "image": "i", "resources": {"limits": {"ephemeral-storage": limit}} if limit else {}}
            for name, limit in limits.items()
        ],
    )


@pytest.mark.parametrize(
    ("pod", "use", "said"),
    [
        (limited_to(a="1Mi"), {"a": MIB}, ""),
        (limited_to(a="1Mi"), {"a": MIB + 1}, "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "),
        (limited_to(a="1Mi", b="3Mi"), {"a": 2 * MIB}, 'Container a exceeded its local ephemeral storage limit "1Mi". '),
        (limited_to(a="1Mi", b=None), {"b": 2 * MIB}, "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "),
        (limited_to(a=None), {"a": 9 * MIB}, ""),
    ],
    ids=["as much as it may", "more", "one of two", "the other one counts for the whole", "no limit"],
)  # fmt: skip
def test_what_containers_may_hold(pod, use, said):
    assert broken(pod, DiskUse(use)) == said


def test_what_volumes_hold_counts_for_the_pod():
    said = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    assert broken(limited_to(a="1Mi"), DiskUse({"a": MIB}, {"v": 1})) == said


def test_memory_holds_no_more_than_the_pod_may_have_as_a_whole():
    volume = {"name": "v", "emptyDir": {"medium": "Memory"}}
    pod = a_pod("one", volumes=[volume], resources={"limits": {"memory": "2Mi"}})
    assert empty_dir_limit(pod, volume) == 2 * MIB
