"""Who goes when the node runs short."""

from __future__ import annotations

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds import priorityclass
from coracle.kube.kinds.pod import condition
from coracle.kube.kubelet.pressure import Candidate, Reach, Relief, Signal, message, ranked, signals
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod, place

MI = 1 << 20
HIGH = Object("PriorityClass", Meta(name="high"), {"value": 9}, priorityclass.API)
PLENTY = 1 << 40


def using(name, used_mi, request="0", priority=0):
    resources = {"requests": {"memory": request}}
    pod = a_pod(name, containers=[{"name": "www", "image": "nginx", "resources": resources}], priority=priority)
    return Candidate(pod, {"www": used_mi * MI})


@pytest.mark.parametrize(
    ("free", "expected"),
    [((PLENTY, PLENTY), []), ((MI, PLENTY), ["memory"]), ((PLENTY, MI), ["ephemeral-storage"]), ((0, 0), ["memory", "ephemeral-storage"])],
)  # fmt: skip
def test_signals(free, expected):
    assert [one.resource for one in signals(*free)] == expected


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


def test_what_is_said():
    assert message(Signal("memory", 100 * MI, 40 * MI), using("a", 50, "10Mi")) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 40Mi. "
        "Container www was using 50Mi, request is 10Mi, has larger consumption of memory. "
    )


@pytest.mark.parametrize(
    ("free", "freed", "goes"),
    [((PLENTY, PLENTY), 0, None), ((MI, PLENTY), 0, "big"), ((PLENTY, MI), 0, "small"), ((PLENTY, MI), 7, None)],
    ids=["enough", "memory", "disk, and no image to give back", "disk, and an image is enough"],
)
def test_relief(free, freed, goes):
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["PriorityClass"].create(HIGH)
        for name, more in (("small", {}), ("big", {"priorityClassName": "high"})):
            await stage["Pod"].create(a_pod(name, **more))
            await place(stage, Key("default", name))

        async def prune():
            return freed

        reach = Reach(lambda pod: {"www": 500 * MI} if pod.meta.name == "big" else {}, prune)
        relief = Relief(stage.caches["Pod"], stage["Pod"], "n1", reach, recorder=stage.recorder, clock=stage.clock)
        await stage.settle(1)
        await relief.relieve(a_node(), *free)
        failed = [pod for pod in stage["Pod"].list() if pod.status["phase"] == "Failed"]
        assert [pod.meta.name for pod in failed] == ([goes] if goes else [])
        for pod in failed:
            assert pod.status["reason"] == "Evicted"
            assert condition(pod, "DisruptionTarget")["reason"] == "TerminationByKubelet"

    run(main())
