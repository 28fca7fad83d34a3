from dataclasses import replace

import pytest

from coracle.kube.kubelet.notes import Health, Notes, Waiting
from coracle.kube.kubelet.records import Present
from coracle.kube.kubelet.status import status
from coracle.kube.kubelet.view import View
from suites.attempts import CHECKED, INIT, NOW_S, READY, a_pod, there, tried


def of(pod, present, notes=CHECKED, now_s=NOW_S):
    return status(View(pod, present, notes, now_s, "192.0.2.2"))


def states(said):
    """container -> the state in a word, and that of the last."""
    return {one["name"]: (_word(one["state"]), _word(one["lastState"])) for one in said["containerStatuses"]}


def _word(state):
    for word, details in state.items():
        return details.get("reason", word)
    return ""


@pytest.mark.parametrize(
    ("pod", "present", "notes", "phase", "expected"),
    [
        pytest.param(a_pod(), Present(), Notes(), "Pending", ("ContainerCreating", ""), id="nothing yet"),
        pytest.param(a_pod(initContainers=INIT), there(), CHECKED, "Pending", ("PodInitializing", ""), id="at init"),
        pytest.param(a_pod(), there(tried()), CHECKED, "Running", ("running", ""), id="running"),
        pytest.param(
            a_pod(), there(tried(state="exited", exit_code=1)), CHECKED, "Running", ("Error", ""), id="just ended"
        ),
        pytest.param(
            a_pod(),
            there(tried(number=1, state="exited", backoff_s=10)),
            CHECKED,
            "Running",
            ("CrashLoopBackOff", "Completed"),
            id="in back-off",
        ),
        pytest.param(
            a_pod(),
            there(tried(state="exited", exit_code=137, oom_killed=True), tried(number=1)),
            CHECKED,
            "Running",
            ("running", "OOMKilled"),
            id="again",
        ),
        pytest.param(
            a_pod(),
            there(tried(state="exited", exit_code=255, reason="ContainerStatusUnknown"), tried(number=1)),
            CHECKED,
            "Running",
            ("running", "ContainerStatusUnknown"),
            id="again, and nobody saw how it ended",
        ),
        pytest.param(
            a_pod(),
            there(tried(state="failed", message="no such file")),
            CHECKED,
            "Running",
            ("RunContainerError", "StartError"),
            id="cannot be started",
        ),
        pytest.param(
            a_pod(restartPolicy="Never"),
            there(tried(state="failed")),
            CHECKED,
            "Failed",
            ("StartError", ""),
            id="could not be started, once and for all",
        ),
        pytest.param(
            a_pod(),
            there(),
            Notes("u", {"web": Waiting("ImagePullBackOff", "Back-off")}, checked=True),
            "Pending",
            ("ImagePullBackOff", ""),
            id="no image",
        ),
        pytest.param(
            a_pod(),
            there(tried(state="exited")),
            Notes("u", {"web": Waiting("ErrImagePull")}, checked=True),
            "Running",
            ("ErrImagePull", "Completed"),
            id="no image for the next attempt",
        ),
        pytest.param(
            a_pod(restartPolicy="OnFailure"),
            there(tried(state="exited")),
            CHECKED,
            "Succeeded",
            ("Completed", ""),
            id="succeeded",
        ),
        pytest.param(
            a_pod(deleting_in_s=9),
            there(tried(state="exited", exit_code=143)),
            CHECKED,
            "Failed",
            ("Error", ""),
            id="deleted",
        ),
    ],
)
def test_phase_and_states(pod, present, notes, phase, expected):
    said = of(pod, present, notes)
    assert (said["phase"], states(said)["web"]) == (phase, expected)


def test_a_pod_waits_for_its_last_container():
    said = of(a_pod("a", "b"), there(tried("a")))
    assert (said["phase"], states(said)) == ("Pending", {"a": ("running", ""), "b": ("ContainerCreating", "")})
    unready = next(one for one in said["conditions"] if one["type"] == "Ready")
    assert (unready["reason"], unready["message"]) == ("ContainersNotReady", "containers with unready status: [b]")


@pytest.mark.parametrize(
    ("health", "started", "ready"),
    [
        (Health(), False, False),
        (Health(started=True), True, False),
        (Health(started=True, ready=False), True, False),
        (Health(started=True, ready=True), True, True),
        (Health(ready=True), False, False),
    ],
)
def test_probes_say_whether_it_is_ready(health, started, ready):
    pod = a_pod()
    pod.spec["containers"][0].update(startupProbe={}, readinessProbe={})
    (web,) = of(pod, there(tried()), Notes("u", health={"web-0": health}))["containerStatuses"]
    assert (web["started"], web["ready"]) == (started, ready)


def test_status_is_stable_and_keeps_what_others_wrote():
    foreign = [
        {"type": "example.com/gate", "status": "True"},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2023-01-01T00:00:00Z"},
    ]
    pod = a_pod(readinessGates=[{"conditionType": "example.com/gate"}])
    pod.body["status"] |= {"conditions": foreign, "nominatedNodeName": "n", "qosClass": "BestEffort"}
    first = of(pod, there(tried()))
    later = of(pod.with_body(status=first), there(tried()), now_s=NOW_S + 600)
    assert later == first
    times = {one["type"]: one.get("lastTransitionTime") for one in first["conditions"]}
    assert times["PodScheduled"] == "2023-01-01T00:00:00Z"
    assert first["nominatedNodeName"] == "n"
    assert {one["type"] for one in first["conditions"] if one["status"] == "True"} >= {"Ready", "example.com/gate"}


def test_addresses():
    said = of(a_pod(), there(tried()))
    assert (said["podIP"], said["podIPs"], said["hostIP"]) == ("10.32.0.5", [{"ip": "10.32.0.5"}], "192.0.2.2")
    assert of(a_pod(hostNetwork=True), there(tried()))["podIP"] == "192.0.2.2"
    assert "podIP" not in of(a_pod(), Present())


def test_an_address_stays_with_a_pod_that_is_over():
    pod = a_pod(phase="Succeeded")
    pod.body["status"]["podIP"] = "10.32.0.9"
    said = of(pod, there(tried(state="exited"), sandbox=None))
    assert (said["podIP"], said["phase"]) == ("10.32.0.9", "Succeeded")


def test_initialized_names_what_is_missing():
    said = of(a_pod(initContainers=INIT), there(tried("first")))
    initialized = next(one for one in said["conditions"] if one["type"] == "Initialized")
    assert (initialized["status"], initialized["message"]) == ("False", "containers with incomplete status: [first]")
    assert [one["state"] for one in said["initContainerStatuses"]] == [
        {"running": {"startedAt": "2023-11-14T22:13:19Z"}}
    ]


def test_terminated_says_when_and_how():
    said = of(a_pod(restartPolicy="Never"), there(tried(state="exited", exit_code=3, ended_s=5, ran_s=10)))
    assert said["containerStatuses"][0]["state"]["terminated"] == {
        "exitCode": 3,
        "reason": "Error",
        "startedAt": "2023-11-14T22:13:05Z",
        "finishedAt": "2023-11-14T22:13:15Z",
        "containerID": "coracle://web-0",
    }


def test_what_could_not_be_started_began_never():
    failed = tried(state="failed", message="no such file", ended_s=5)
    said = of(a_pod(restartPolicy="Never"), there(replace(failed, started_at="")))
    ended = said["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"], ended["startedAt"]) == ("StartError", 128, "1970-01-01T00:00:00Z")


def test_the_sandbox_is_a_condition():
    ready = {one["type"]: one["status"] for one in of(a_pod(), there(sandbox=READY))["conditions"]}
    assert ready["PodReadyToStartContainers"] == "True"
    ready = {one["type"]: one["status"] for one in of(a_pod(), Present())["conditions"]}
    assert ready["PodReadyToStartContainers"] == "False"


def test_the_time_of_a_condition_moves_with_its_status():
    pod = a_pod()
    ready = pod.with_body(status=of(pod, there(tried())))
    later = of(ready, there(tried(state="exited")), now_s=NOW_S + 60)
    times = {one["type"]: one["lastTransitionTime"] for one in later["conditions"]}
    assert times["Ready"] == times["ContainersReady"] == "2023-11-14T22:14:20Z"
    assert times["Initialized"] == times["PodScheduled"] == "2023-11-14T22:13:20Z"


def test_what_others_say_of_a_phase_stays_as_long_as_the_phase():
    said = {"reason": "Patched", "message": "by hand"}
    running = a_pod(phase="Running").with_status(**said)
    assert {name: of(running, there(tried())).get(name) for name in said} == said
    assert "reason" not in of(a_pod().with_status(**said), there(tried()))


def test_containers_are_listed_by_name_and_with_their_volumes():
    mounts = [
        {"name": "v", "mountPath": "/a"},
        {"name": "v", "mountPath": "/b", "readOnly": True},
        {"name": "v", "mountPath": "/c", "readOnly": True, "recursiveReadOnly": "IfPossible"},
    ]
    containers = [{"name": "z", "image": "nginx:1"}, {"name": "a", "image": "nginx:1", "volumeMounts": mounts}]
    first, second = of(a_pod(containers=containers), there())["containerStatuses"]
    assert (first["name"], second["name"], "volumeMounts" in second) == ("a", "z", False)
    assert first["volumeMounts"] == [
        {"name": "v", "mountPath": "/a"},
        {"name": "v", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "Disabled"},
        {"name": "v", "mountPath": "/c", "readOnly": True, "recursiveReadOnly": "Enabled"},
    ]


def test_what_was_removed_to_make_room_is_remembered():
    first, second = tried(state="exited", exit_code=137, oom_killed=True), tried(number=1)
    before = a_pod().with_body(status=of(a_pod(), there(first, second)))
    after = of(before, there(second))
    assert states(after) == {"web": ("running", "OOMKilled")}
    third = tried(number=2)
    assert states(of(before, there(third))) == {"web": ("running", "")}
    over = a_pod(restartPolicy="Never")
    over = over.with_body(status=of(over, there(tried(state="exited"))))
    assert of(over, there())["containerStatuses"] == over.status["containerStatuses"]
