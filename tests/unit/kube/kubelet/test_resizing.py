from dataclasses import asdict

import pytest

from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.plan import Stop, plan
from coracle.kube.kubelet.resizing import Postponed, Resize, postponed, resizes
from coracle.kube.kubelet.resources import limits
from suites.attempts import NOW_S, a_pod, there, tried


def sized(cpu, memory, **more):
    amounts = {"cpu": cpu, "memory": memory}
    return {"name": "web", "image": "nginx:1", "resources": {"limits": amounts, "requests": amounts}, **more}


def pod(container):
    return a_pod().with_spec(containers=[container])


def running(container, **more):
    return there(tried(resources=asdict(limits(container)), **more))


SMALL, LARGE = sized("1", "64Mi"), sized("1", "128Mi")
RESTART = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]


@pytest.mark.parametrize(
    ("container", "present", "expected"),
    [
        pytest.param(SMALL, running(SMALL), (), id="it has what it asks for"),
        pytest.param(LARGE, running(SMALL), (Resize("web-0", "web", limits(LARGE)),), id="it asks for more"),
        pytest.param(LARGE, running(SMALL, state="exited"), (), id="it does not run"),
        pytest.param(LARGE, there(), (), id="it was never made"),
        pytest.param(
            {**LARGE, "resizePolicy": RESTART},
            running(SMALL),
            (Resize("web-0", "web", limits(LARGE), restart=True),),
            id="it wants to be restarted for memory",
        ),
        pytest.param(
            {**sized("2", "64Mi"), "resizePolicy": RESTART},
            running(SMALL),
            (Resize("web-0", "web", limits(sized("2", "64Mi"))),),
            id="but not for cpu",
        ),
    ],
)
def test_resizes(container, present, expected):
    assert resizes(pod(container), present) == expected


@pytest.mark.parametrize(
    ("container", "others", "expected"),
    [
        (SMALL, [], None),
        (sized("5", "64Mi"), [], "Infeasible"),
        (sized("1", "9Gi"), [], "Infeasible"),
        (sized("2", "64Mi"), [pod(sized("2", "1Gi"))], None),
        (sized("2", "64Mi"), [pod(sized("3", "1Gi"))], "Deferred"),
    ],
)
def test_room(container, others, expected):
    found = postponed(pod(container), others, {"cpu": "4", "memory": "8Gi", "pods": "110"})
    assert (found and found.reason) == expected


def test_the_plan_waits_for_room_and_ends_what_wants_a_restart():
    notes = Notes("u", checked=True)
    assert plan(pod(LARGE), running(SMALL), notes, NOW_S).resize == (Resize("web-0", "web", limits(LARGE)),)
    ended = plan(pod({**LARGE, "resizePolicy": RESTART}), running(SMALL), notes, NOW_S)
    assert ended.stop == (Stop("web-0", "web", 30.0, "Container web resize requires restart"),)
    assert ended.resize == ()
    notes.postponed = Postponed("Deferred", "no room")
    assert plan(pod(LARGE), running(SMALL), notes, NOW_S).resize == ()
