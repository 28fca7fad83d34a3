import pytest

from coracle.kube.kubelet.policy import FAILED, SUCCEEDED, TOO_LATE, next_backoff_s, outcome, restarts, when_deleted
from suites.attempts import INIT, NOW_S, SIDECAR, a_pod, there, tried


def rules(action, operator, *values):
    return [{"action": action, "exitCodes": {"operator": operator, "values": list(values)}}]


@pytest.mark.parametrize(
    ("pod_policy", "own", "code", "expected"),
    [
        ("Always", {}, 0, True),
        ("Always", {}, 1, True),
        ("OnFailure", {}, 0, False),
        ("OnFailure", {}, 1, True),
        ("Never", {}, 1, False),
        ("Never", {"restartPolicy": "Always"}, 0, True),
        ("Never", {"restartPolicy": "OnFailure"}, 0, False),
        ("Never", {"restartPolicy": "OnFailure"}, 3, True),
        ("Always", {"restartPolicy": "Never"}, 1, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": rules("Restart", "In", 42, 43)}, 42, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": rules("Restart", "In", 42)}, 1, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": rules("Restart", "NotIn", 0)}, 1, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": rules("Restart", "NotIn", 0)}, 0, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": rules("RestartAllContainers", "In", 42)}, 42, True),
    ],
)
def test_restarts(pod_policy, own, code, expected):
    pod = a_pod(restartPolicy=pod_policy)
    assert restarts(pod, {"name": "web", **own}, tried(state="exited", exit_code=code)) is expected


@pytest.mark.parametrize(
    ("pod_policy", "own", "code", "expected"),
    [
        ("Always", {}, 0, False),
        ("Always", {}, 1, True),
        ("Never", {}, 1, False),
        ("Never", {"restartPolicy": "OnFailure"}, 1, True),
        ("Never", {"restartPolicy": "Always"}, 0, True),
    ],
)
def test_restarts_of_an_init_container(pod_policy, own, code, expected):
    container = {**INIT[0], **own}
    pod = a_pod(restartPolicy=pod_policy, initContainers=[container])
    assert restarts(pod, container, tried("first", state="exited", exit_code=code)) is expected


DONE, BAD = {"state": "exited"}, {"state": "exited", "exit_code": 1}


@pytest.mark.parametrize(
    ("pod", "present", "expected"),
    [
        pytest.param(a_pod(), there(tried()), None, id="it runs"),
        pytest.param(a_pod(), there(), None, id="it has not begun"),
        pytest.param(a_pod(restartPolicy="Never"), there(tried(**DONE)), SUCCEEDED, id="all has succeeded"),
        pytest.param(a_pod("a", "b", restartPolicy="Never"), there(tried("a", **DONE)), None, id="one is to come"),
        pytest.param(
            a_pod("a", "b", restartPolicy="Never"),
            there(tried("a", **DONE), tried("b", **BAD)),
            FAILED,
            id="one has failed",
        ),
        pytest.param(a_pod(restartPolicy="OnFailure"), there(tried(**BAD)), None, id="it will be tried again"),
        pytest.param(
            a_pod(restartPolicy="Never", initContainers=INIT),
            there(tried("first", **BAD)),
            FAILED,
            id="an init container has failed for good",
        ),
        pytest.param(
            a_pod(restartPolicy="Never", initContainers=SIDECAR),
            there(tried("beside"), tried(**DONE)),
            SUCCEEDED,
            id="sidecars do not count",
        ),
        pytest.param(a_pod(activeDeadlineSeconds=5), there(tried()), None, id="no start, no deadline"),
        pytest.param(a_pod(phase="Failed"), there(tried()), FAILED, id="what is said stays said"),
    ],
)
def test_outcome(pod, present, expected):
    assert outcome(pod, present, NOW_S) == expected


@pytest.mark.parametrize(("after_s", "expected"), [(4, None), (5, TOO_LATE)])
def test_deadline(after_s, expected):
    pod = a_pod(activeDeadlineSeconds=5).with_status(startTime="2023-11-14T22:13:20Z")
    assert outcome(pod, there(tried()), NOW_S + after_s) == expected


@pytest.mark.parametrize(
    ("present", "expected"), [(there(tried(**DONE)), SUCCEEDED), (there(tried(**BAD)), FAILED), (there(), FAILED)]
)
def test_a_deleted_pod(present, expected):
    assert when_deleted(a_pod(), present) == expected


@pytest.mark.parametrize(
    ("backoff_s", "ran_s", "expected_s"), [(0, 1, 10), (10, 1, 20), (160, 1, 300), (300, 1, 300), (300, 600, 10)]
)
def test_back_off(backoff_s, ran_s, expected_s):
    assert next_backoff_s(tried(state="exited", backoff_s=backoff_s, ran_s=ran_s)) == expected_s
