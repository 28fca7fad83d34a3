import pytest

from coracle.kube.kubelet.notes import Health, Notes, Waiting
from coracle.kube.kubelet.plan import Plan, Start, Stop, plan
from coracle.kube.kubelet.records import Present
from suites.attempts import CHECKED, INIT, NOW_S, SIDECAR, a_pod, there, tried

TWO_SIDECARS = [{**SIDECAR[0], "name": name} for name in ("a", "b")]
LATE = [{"name": "late", "image": "nginx:1"}]
HOOKED = [{"name": name, "image": "nginx:1", **more} for name, more in (
    ("a", {}), ("b", {"lifecycle": {"postStart": {"sleep": {"seconds": 1}}}}), ("c", {}))]  # fmt: skip
STOP_WEB = Stop("web-0", "web", 30.0, "Stopping container web")


@pytest.mark.parametrize(
    ("pod", "present", "notes", "expected"),
    [
        pytest.param(a_pod(), Present(), Notes(), Plan(sandbox=True), id="begins with the sandbox"),
        pytest.param(a_pod(), there(), Notes(), Plan(sandbox=True), id="looks once whether a sandbox is whole"),
        pytest.param(a_pod(), there(), CHECKED, Plan(start=(Start("web"),)), id="starts its container"),
        pytest.param(
            a_pod("a", "b"), there(), CHECKED, Plan(start=(Start("a"), Start("b"))), id="starts all containers at once"
        ),
        pytest.param(a_pod(), there(tried()), CHECKED, Plan(), id="leaves what runs alone"),
        pytest.param(
            a_pod(containers=HOOKED),
            there(),
            CHECKED,
            Plan(start=(Start("a"), Start("b"))),
            id="those behind a hook later",
        ),
        pytest.param(
            a_pod(containers=HOOKED),
            there(tried("a"), tried("b")),
            Notes("u", checked=True, hooking={"b-0"}),
            Plan(),
            id="as long as the hook goes on",
        ),
        pytest.param(
            a_pod(containers=HOOKED), there(tried("a"), tried("b")), CHECKED, Plan(start=(Start("c"),)), id="then they"
        ),
        pytest.param(
            a_pod(),
            there(tried(state="created")),
            CHECKED,
            Plan(start=(Start("web", id="web-0"),)),
            id="goes on with what was made and not started",
        ),
        pytest.param(
            a_pod(),
            there(tried(state="exited")),
            CHECKED,
            Plan(start=(Start("web", 1, 10.0),)),
            id="restarts at once the first time",
        ),
        pytest.param(
            a_pod(),
            there(tried(number=1, state="exited", ended_s=4, backoff_s=10)),
            CHECKED,
            Plan(look_again_s=6.0),
            id="waits for the rest of the back-off",
        ),
        pytest.param(
            a_pod(),
            there(tried(number=1, state="failed", ended_s=10, backoff_s=10)),
            CHECKED,
            Plan(start=(Start("web", 2, 20.0),)),
            id="restarts what could not be started after the back-off",
        ),
        pytest.param(
            a_pod(),
            there(tried(number=4, state="exited", backoff_s=160, image="nginx:0")),
            CHECKED,
            Plan(start=(Start("web", 5),)),
            id="from another image at once, and as if for the first time",
        ),
        pytest.param(
            a_pod(restartPolicy="Never"),
            there(tried(state="exited", exit_code=1)),
            CHECKED,
            Plan(),
            id="never again",
        ),
        pytest.param(
            a_pod(restartPolicy="OnFailure"), there(tried(state="exited")), CHECKED, Plan(), id="a success is enough"
        ),
        pytest.param(
            a_pod(),
            there(),
            Notes("u", {"web": Waiting("ErrImagePull", until_s=NOW_S + 3)}, checked=True),
            Plan(look_again_s=3.0),
            id="waits as a note says",
        ),
        pytest.param(
            a_pod(),
            Present(),
            Notes("u", sandbox=Waiting("ContainerCreating", until_s=NOW_S + 2)),
            Plan(look_again_s=2.0),
            id="waits with the sandbox",
        ),
        pytest.param(
            a_pod(initContainers=INIT), there(), CHECKED, Plan(start=(Start("first"),)), id="init containers first"
        ),
        pytest.param(a_pod(initContainers=INIT), there(tried("first")), CHECKED, Plan(), id="one after the other"),
        pytest.param(
            a_pod(initContainers=INIT),
            there(tried("first", state="exited")),
            CHECKED,
            Plan(start=(Start("web"),)),
            id="then the others",
        ),
        pytest.param(
            a_pod(initContainers=INIT),
            there(tried("first", state="exited", exit_code=1)),
            CHECKED,
            Plan(start=(Start("first", 1, 10.0),)),
            id="a failed init container again",
        ),
        pytest.param(
            a_pod(initContainers=SIDECAR),
            there(tried("beside")),
            CHECKED,
            Plan(start=(Start("web"),)),
            id="a sidecar that runs lets the others start",
        ),
        pytest.param(
            a_pod(initContainers=SIDECAR),
            there(tried("beside", state="exited"), tried()),
            CHECKED,
            Plan(start=(Start("beside", 1, 10.0),)),
            id="a sidecar is restarted",
        ),
        pytest.param(
            a_pod(),
            there(tried(number=0, state="exited"), tried(number=1, state="exited"), tried(number=2)),
            CHECKED,
            Plan(forget=("web-0",)),
            id="keeps the present attempt and the last",
        ),
        pytest.param(
            a_pod(),
            there(tried()),
            Notes("u", health={"web-0": Health(failed="liveness probe")}, checked=True),
            Plan(stop=(Stop("web-0", "web", 30.0, "Container web failed liveness probe, will be restarted"),)),
            id="ends what is not alive",
        ),
        pytest.param(
            a_pod(restartPolicy="Never"),
            there(tried(image="nginx:0")),
            CHECKED,
            Plan(stop=(Stop("web-0", "web", 30.0, "Container web definition changed, will be restarted"),)),
            id="ends what has another image than it should",
        ),
        pytest.param(
            a_pod(restartPolicy="Never"),
            there(tried(state="exited", backoff_s=10, image="nginx:0")),
            CHECKED,
            Plan(start=(Start("web", 1),)),
            id="and starts it again at once",
        ),
        pytest.param(
            a_pod(initContainers=INIT),
            there(tried("first", state="exited", image="nginx:0"), tried(image="nginx:1")),
            CHECKED,
            Plan(),
            id="but no init container that has done its part",
        ),
        pytest.param(
            a_pod(deleting_in_s=30), there(tried()), CHECKED, Plan(stop=(STOP_WEB,)), id="deleted: ends what runs"
        ),
        pytest.param(
            a_pod(deleting_in_s=9),
            there(tried()),
            Notes(),
            Plan(stop=(Stop("web-0", "web", 10.0, "Stopping container web"),)),
            id="with what is left of the grace",
        ),
        pytest.param(
            a_pod(deleting_in_s=30, initContainers=SIDECAR),
            there(tried(), tried("beside")),
            CHECKED,
            Plan(stop=(STOP_WEB, Stop("beside-0", "beside", 30.0, "Stopping container beside", ("web-0",)))),
            id="sidecars last",
        ),
        pytest.param(
            a_pod(restartPolicy="Never", initContainers=TWO_SIDECARS),
            there(tried(state="exited"), tried("a"), tried("b")),
            CHECKED,
            Plan(
                stop=(
                    Stop("b-0", "b", 30.0, "Stopping container b"),
                    Stop("a-0", "a", 30.0, "Stopping container a", ("b-0",)),
                )
            ),
            id="sidecars keep no pod from its end, and go in reverse",
        ),
        pytest.param(
            a_pod(restartPolicy="OnFailure", initContainers=SIDECAR),
            there(tried("beside", state="exited"), tried(state="exited")),
            CHECKED,
            Plan(),
            id="a sidecar that has ended is left when the others are done",
        ),
        pytest.param(
            a_pod(restartPolicy="Never", initContainers=[*SIDECAR, *INIT]),
            there(tried("beside"), tried("first", state="exited", exit_code=1)),
            CHECKED,
            Plan(stop=(Stop("beside-0", "beside", 30.0, "Stopping container beside"),)),
            id="a failed init container ends a pod that is never restarted",
        ),
        pytest.param(
            a_pod(ephemeralContainers=LATE),
            there(tried()),
            CHECKED,
            Plan(start=(Start("late"),)),
            id="starts an ephemeral container",
        ),
        pytest.param(
            a_pod(ephemeralContainers=LATE),
            there(tried(), tried("late", state="exited", exit_code=1)),
            CHECKED,
            Plan(),
            id="an ephemeral container is never restarted",
        ),
        pytest.param(
            a_pod(ephemeralContainers=[{**LATE[0], "targetContainerName": "web"}]),
            there(tried()),
            CHECKED,
            Plan(start=(Start("late", beside="web-0"),)),
            id="an ephemeral container sees the processes of another",
        ),
        pytest.param(
            a_pod(ephemeralContainers=[{**LATE[0], "targetContainerName": "web"}]),
            there(tried(state="exited", ended_s=1, backoff_s=10)),
            CHECKED,
            Plan(look_again_s=9.0),
            id="and waits for it",
        ),
        pytest.param(
            a_pod(restartPolicy="Never"),
            there(tried()),
            Notes("u", health={"web-0": Health(failed="startup probe")}, checked=True),
            Plan(stop=(Stop("web-0", "web", 30.0, "Container web failed startup probe"),)),
            id="ends for good what is not alive and never restarted",
        ),
        pytest.param(
            a_pod(),
            there(tried()),
            Notes("u", health={"web-0": Health(failed="postStart hook")}, checked=True),
            Plan(stop=(Stop("web-0", "web", 30.0, "FailedPostStartHook"),)),
            id="ends what its hook condemns",
        ),
        pytest.param(
            a_pod(initContainers=SIDECAR),
            there(tried("beside")),
            Notes("u", checked=True, hooking={"beside-0"}),
            Plan(),
            id="waits for the hook of a sidecar",
        ),
        pytest.param(
            a_pod(deleting_in_s=30), there(tried(state="exited")), CHECKED, Plan(finish=True), id="then takes all down"
        ),
        pytest.param(a_pod(deleting_in_s=30), Present(), Notes(), Plan(finish=True), id="even if nothing was made"),
        pytest.param(
            a_pod(phase="Succeeded"), there(tried(state="exited")), CHECKED, Plan(release=True), id="over: address back"
        ),
        pytest.param(a_pod(phase="Failed"), there(sandbox=None), CHECKED, Plan(), id="over and released"),
        pytest.param(
            a_pod(phase="Failed"), there(tried()), CHECKED, Plan(stop=(STOP_WEB,)), id="over: ends what still runs"
        ),
    ],
)
def test_plan(pod, present, notes, expected):
    assert plan(pod, present, notes, NOW_S) == expected
