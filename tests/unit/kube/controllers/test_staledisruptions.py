"""A pod that was said to go, and stays, is no longer said to go."""

from __future__ import annotations

import pytest

from coracle.core.clock import rfc3339
from coracle.core.object import Key
from coracle.kube.controllers.staledisruptions import StaleDisruptions, stale_in_s
from coracle.kube.kinds.conditions import condition
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod

NOW_S = 1_700_000_000.0


def doomed(since_s=NOW_S, status="True", reason="EvictionByEvictionAPI", **more):
    said = {"type": "DisruptionTarget", "status": status, "reason": reason, "lastTransitionTime": rfc3339(since_s)}
    return a_pod("one").with_body(status={"phase": "Running", "conditions": [said], **more})


@pytest.mark.parametrize(
    ("pod", "left_s"),
    [
        pytest.param(a_pod("one"), None, id="nobody said so"),
        pytest.param(doomed(), 120, id="said just now"),
        pytest.param(doomed(NOW_S - 120), 0, id="said two minutes ago"),
        pytest.param(doomed(NOW_S - 130), -10, id="said long ago"),
        pytest.param(doomed(status="False"), None, id="taken back"),
        pytest.param(doomed(reason="TerminationByKubelet"), None, id="the kubelet takes its time"),
        pytest.param(doomed(phase="Failed"), None, id="it has ended"),
        pytest.param(doomed().with_meta(deleting=rfc3339(NOW_S)), None, id="it goes"),
    ],
)
def test_stale(pod, left_s):
    assert stale_in_s(pod, NOW_S) == left_s


def test_it_is_taken_back():
    async def main():
        stage = Stage()
        stage.run(StaleDisruptions(stage.caches, stage["Pod"], stage.clock))
        await stage.rooms()
        await stage["Pod"].create(a_pod("one"))
        key = Key("default", "one")
        status = doomed(stage.clock.now_s()).status
        await stage["Pod"].change(key, lambda one: one.with_body(status=status), "status")
        await stage.settle(119)
        assert condition(stage["Pod"].get(key), "DisruptionTarget")["status"] == "True"
        await stage.settle(2)
        assert condition(stage["Pod"].get(key), "DisruptionTarget")["status"] == "False"

    run(main())
