"""What of pods can be given back."""

import pytest

from coracle.kube.kubelet.use import DiskUse, dead
from suites.attempts import a_pod, there, tried

ENDED, AGAIN, NOW = tried(state="exited"), tried(number=1, state="exited"), tried(number=2)


@pytest.mark.parametrize(
    ("pod", "present", "expected"),
    [
        (a_pod(phase="Running"), there(NOW), []),
        (a_pod(phase="Running"), there(ENDED, AGAIN, NOW), ["web-0", "web-1"]),
        (a_pod(phase="Running"), there(ENDED, AGAIN), ["web-0"]),
        (a_pod(phase="Succeeded"), there(ENDED), ["web-0"]),
        (a_pod(phase="Failed"), there(ENDED, NOW), ["web-0"]),
    ],
    ids=[
        "runs",
        "what came before",
        "the last one may be started again",
        "a pod that is over",
        "what still runs stays",
    ],
)
def test_dead(pod, present, expected):
    assert [one.id for one in dead(pod, present)] == expected


def test_a_pod_holds_what_its_containers_and_volumes_hold():
    assert DiskUse({"a": 1, "b": 2}, {"v": 3}).total == 6
