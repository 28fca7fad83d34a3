"""Pods that have ended do not pile up for ever."""

from __future__ import annotations

import pytest

from coracle.core.store import to_entry
from coracle.kube.controllers import endedpods
from coracle.kube.controllers.endedpods import EndedPods, surplus
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod

OLD, NEW = "2023-11-14T20:00:00Z", "2023-11-14T22:13:00Z"


def a_past_pod(name, created=OLD, phase="Failed", reason=""):
    return a_pod(name).with_meta(created=created).with_body(status={"phase": phase, "reason": reason})


@pytest.mark.parametrize(
    ("present", "first"),
    [
        pytest.param([a_past_pod("new", NEW), a_past_pod("old")], "old", id="the oldest"),
        pytest.param([a_past_pod("b"), a_past_pod("a")], "a", id="of one age by name"),
        pytest.param([a_past_pod("old"), a_past_pod("new", NEW, reason="Evicted")], "new", id="the evicted before"),
        pytest.param(
            [a_past_pod("old"), a_past_pod("x", NEW, "Succeeded", "Evicted")], "old", id="evicted: and failed"
        ),
    ],
)
def test_who_is_missed_least(present, first):
    assert [pod.meta.name for pod in surplus([to_entry(pod) for pod in present], 1)] == [first]


def test_the_oldest_go_when_there_are_too_many():
    async def main():
        stage = Stage(endedpods.INDEXES)
        stage.run(EndedPods(stage.caches, stage["Pod"], most=3))
        await stage.rooms()
        for number in range(5):
            pod = await stage["Pod"].create(a_pod(f"p{number}"))
            await stage["Pod"].change(pod.key, lambda one: one.with_status(phase="Succeeded"), "status")
        await stage["Pod"].create(a_pod("alive"))
        await stage.settle(1)
        assert [pod.meta.name for pod in stage["Pod"].list()] == ["alive", "p3", "p4"]

    run(main())


def test_of_very_many_that_are_over_the_evicted_and_the_oldest_go():
    async def main():
        stage = Stage(endedpods.INDEXES)
        stage.run(EndedPods(stage.caches, stage["Pod"], most=2))
        await stage.rooms()
        for name, status in (("a", {"phase": "Failed"}), ("b", {"phase": "Succeeded"}), ("c", {"phase": "Failed", "reason": "Evicted"}), ("d", {"phase": "Succeeded"}), ("e", {"phase": "Running"})):  # fmt: skip
            pod = await stage["Pod"].create(a_pod(name))
            await stage["Pod"].change(pod.key, lambda one, status=status: one.with_status(**status), "status")
            await stage.settle(1)
        assert [pod.meta.name for pod in stage["Pod"].list()] == ["b", "d", "e"]

    run(main())
