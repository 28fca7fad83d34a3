"""When a ready pod counts as available."""

from __future__ import annotations

import pytest

from coracle.core.clock import rfc3339
from coracle.kube.controllers.availability import available, available_in_s, next_available_s
from coracle.testing.kube import a_pod

NOW_S = 1_700_000_000.0


def a_ready_pod(ago_s, *, ready=True, going=False, phase="Running"):
    since = rfc3339(NOW_S - ago_s) if ago_s is not None else ""
    said = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
    pod = a_pod("p").with_body(status={"phase": phase, "conditions": [said]})
    return pod.with_meta(deleting=rfc3339(NOW_S)) if going else pod


@pytest.mark.parametrize(
    ("pod", "wait_s", "left_s", "is_available"),
    [
        pytest.param(a_ready_pod(0), 0, 0, True, id="at once"),
        pytest.param(a_ready_pod(4), 10, 6, False, id="not yet"),
        pytest.param(a_ready_pod(10), 10, 0, True, id="just now"),
        pytest.param(a_ready_pod(15), 10, -5, True, id="for a while"),
        pytest.param(a_ready_pod(15, ready=False), 10, -5, False, id="never while it is not ready"),
        pytest.param(a_ready_pod(None), 10, 0, True, id="nobody knows since when"),
        pytest.param(a_ready_pod(4), 0, 0, True, id="without a wait"),
    ],
)
def test_available(pod, wait_s, left_s, is_available):
    assert available_in_s(pod, wait_s, NOW_S) == left_s
    assert available(pod, wait_s, NOW_S) is is_available


@pytest.mark.parametrize(
    ("owned", "left_s"),
    [
        pytest.param([], 0, id="nobody"),
        pytest.param([a_ready_pod(10), a_ready_pod(15)], 0, id="all are"),
        pytest.param([a_ready_pod(4), a_ready_pod(8), a_ready_pod(15)], 2, id="the next one"),
        pytest.param([a_ready_pod(4, ready=False)], 0, id="one that is not ready is not waited for"),
        pytest.param([a_ready_pod(4, going=True)], 0, id="nor one that goes"),
        pytest.param([a_ready_pod(4, phase="Succeeded")], 0, id="nor one that has ended"),
    ],
)
def test_the_next(owned, left_s):
    assert next_available_s(owned, 10, NOW_S) == left_s
