"""Who goes when the node runs short, and what is tried before."""

from __future__ import annotations

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds import priorityclass
from coracle.kube.kinds.conditions import condition
from coracle.kube.kubelet.pressure import Evictor, Relief
from coracle.kube.kubelet.ranking import VOLUMES, Candidate, message, ranked, unwelcome
from coracle.kube.kubelet.thresholds import MEMORY, PIDS, Amount, Stock, Threshold
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod, place

MI = 1 << 20
HIGH = Object("PriorityClass", Meta(name="high"), {"value": 9}, priorityclass.API)
LITTLE_MEMORY = Threshold(MEMORY, Amount(100 * MI))
LITTLE_DISK = Threshold("nodefs.available", Amount(100 * MI), reclaim=Amount(50 * MI))


def using(name, used_mi, request="0", priority=0):
    resources = {"requests": {"memory": request}}
    pod = a_pod(name, containers=[{"name": "www", "image": "nginx", "resources": resources}], priority=priority)
    return Candidate(pod, {"www": used_mi * MI})


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param([using("a", 50, "100Mi"), using("b", 20, "10Mi")], ["b", "a"], id="who uses more than it asked for"),
        pytest.param([using("a", 90, "10Mi", 5), using("b", 20, "10Mi")], ["b", "a"], id="the less important"),
        pytest.param([using("a", 20, "10Mi"), using("b", 90, "10Mi")], ["b", "a"], id="who is further over"),
        pytest.param([using("a", 90, priority=2_000_001_000)], [], id="what the node needs stays"),
    ],
)  # fmt: skip
def test_ranks(candidates, expected):
    assert [one.pod.meta.name for one in ranked(candidates, "memory")] == expected


def test_of_processes_only_importance_and_number_count():
    some, many, high = (Candidate(a_pod(name, priority=p), {"www": n}) for name, n, p in (("some", 3, 0), ("many", 9, 0), ("high", 99, 1)))  # fmt: skip
    assert ranked([high, some, many], "pids") == [many, some, high]


@pytest.mark.parametrize(
    ("threshold", "stock", "candidate", "said"),
    [
        pytest.param(
            LITTLE_MEMORY, Stock(1 << 33, 40 * MI), using("a", 50, "10Mi"),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 40Mi. "
            "Container www was using 50Mi, request is 10Mi, has larger consumption of memory. ", id="memory",
        ),
        pytest.param(
            Threshold("nodefs.available", Amount(share=0.5)), Stock(100 * MI, 7 * MI), Candidate(a_pod("a"), {"www": 1, VOLUMES: 9 * MI}),
            "The node was low on resource: ephemeral-storage. Threshold quantity: 50Mi, available: 7Mi. "
            "Container www was using 0, request is 0, has larger consumption of ephemeral-storage. ", id="disk, in percent",
        ),
        pytest.param(
            Threshold(PIDS, Amount(256)), Stock(4096, 12), using("a", 3),
            "The node was low on resource: pids. Threshold quantity: 256, available: 12. ", id="processes",
        ),
    ],
)  # fmt: skip
def test_what_is_said(threshold, stock, candidate, said):
    assert message(threshold, stock, candidate) == said


MEMORY_ONLY, DISK = {"MemoryPressure"}, {"DiskPressure"}
BEARS = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("pod", "pressed", "said"),
    [
        (a_pod("a"), set(), None),
        (a_pod("a"), MEMORY_ONLY, "The node had condition: [MemoryPressure]. "),
        (using("a", 0, "10Mi").pod, MEMORY_ONLY, None),
        (a_pod("a", tolerations=[BEARS]), MEMORY_ONLY, None),
        (a_pod("a", tolerations=[BEARS]), DISK, "The node had condition: [DiskPressure]. "),
        (using("a", 0, "10Mi").pod, MEMORY_ONLY | DISK, "The node had condition: [DiskPressure MemoryPressure]. "),
        (a_pod("a", priority=2_000_001_000), DISK, None),
    ],
    ids=["no pressure", "best effort", "it asks for memory", "it bears the taint", "not that of the disk", "both", "critical"],
)  # fmt: skip
def test_who_may_come(pod, pressed, said):
    refused = unwelcome(pod, frozenset(pressed))
    assert (refused and refused.message) == said
    assert refused is None or refused.reason == "Evicted"


class FakeReach:
    """Pods called "big" use much; tidying leaves `left_mi` of the disk."""

    def __init__(self, left_mi):
        self.left_mi, self.tidied, self.left = left_mi, 0, set()

    async def used(self, pod, resource):
        return {"www": 500 * MI} if pod.meta.name == "big" and resource == "memory" else {}

    def gone(self, pod):
        return pod.meta.name in self.left

    async def tidy(self):
        self.tidied += 1


@pytest.mark.parametrize(
    ("due", "left_mi", "tidied", "goes"),
    [
        (LITTLE_MEMORY, 0, 0, "big"),
        (Threshold(MEMORY, Amount(100 * MI), grace_s=60), 0, 0, "big"),
        (LITTLE_DISK, 20, 1, "small"),
        (LITTLE_DISK, 120, 1, "small"),
        (LITTLE_DISK, 150, 1, None),
    ],
    ids=[
        "memory",
        "memory, softly",
        "disk, and nothing to give back",
        "less than is wanted back",
        "what was given back is enough",
    ],
)
def test_relief(due, left_mi, tidied, goes):
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["PriorityClass"].create(HIGH)
        for name, more in (("small", {}), ("big", {"priorityClassName": "high"})):
            await stage["Pod"].create(a_pod(name, **more))
            await place(stage, Key("default", name))

        async def look():
            return {due.signal: Stock(1000 * MI, reach.left_mi * MI)}

        reach, evictor = FakeReach(left_mi), Evictor(stage["Pod"], stage.recorder, stage.clock)
        relief = Relief(
            stage.caches["Pod"], evictor, "n1", reach, recorder=stage.recorder, clock=stage.clock, max_grace_s=7
        )
        await stage.settle(1)
        await relief.relieve(a_node(), [due], {due.signal: Stock(1000 * MI, 0)}, look)
        assert reach.tidied == tidied
        failed = [pod for pod in stage["Pod"].list() if pod.status["phase"] == "Failed"]
        assert [pod.meta.name for pod in failed] == ([goes] if goes else [])
        for pod in failed:
            assert pod.status["reason"] == "Evicted"
            assert condition(pod, "DisruptionTarget")["reason"] == "TerminationByKubelet"
            assert evictor.grace_s(pod) == (1 if not due.grace_s else 7)
        kept = [pod for pod in stage["Pod"].list() if pod not in failed]
        assert [evictor.grace_s(pod) for pod in kept] == [None] * len(kept)

    run(main())


def test_the_next_one_goes_only_when_the_last_one_has_left():
    async def main():
        stage = Stage()
        await stage.rooms()
        for name in ("big", "other", "third"):
            await stage["Pod"].create(a_pod(name))
            await place(stage, Key("default", name))
        reach, evictor = FakeReach(0), Evictor(stage["Pod"], stage.recorder, stage.clock)
        relief = Relief(stage.caches["Pod"], evictor, "n1", reach, recorder=stage.recorder, clock=stage.clock)

        async def failed():
            await stage.settle(1)
            await relief.relieve(a_node(), [LITTLE_MEMORY], {MEMORY: Stock(1000 * MI, 0)}, None)
            return sorted(pod.meta.name for pod in stage["Pod"].list() if pod.status["phase"] == "Failed")

        assert await failed() == ["big"]
        assert await failed() == ["big"]  # it is leaving
        reach.left.add("big")
        assert await failed() == ["big"]  # it has left since we looked
        assert await failed() == ["big", "other"]
        await stage.settle(60)
        assert await failed() == ["big", "other"]
        assert await failed() == ["big", "other", "third"]  # nobody waits for ever

    run(main())
