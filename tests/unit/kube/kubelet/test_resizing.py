from dataclasses import asdict, replace

import pytest

from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.plan import Stop, plan
from coracle.kube.kubelet.resizing import RETRY_S, Postponed, Regroup, Resize, asked, postponed, regroup, resizes
from coracle.kube.kubelet.resources import group, limits
from suites.attempts import NOW_S, a_pod, there, tried


def sized(cpu, memory, **more):
    amounts = {"cpu": cpu, "memory": memory}
    return {"name": "web", "image": "nginx:1", "resources": {"limits": amounts, "requests": amounts}, **more}


def pod(container):
    return a_pod().with_spec(containers=[container])


def running(container, **more):
    return there(tried(resources=asdict(limits(a_pod(), container)), **more))


def resized(container, restart=False, had=64 << 20):
    return Resize("web-0", "web", limits(a_pod(), container), restart, had)


SMALL, LARGE = sized("1", "64Mi"), sized("1", "128Mi")
RESTART = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]


@pytest.mark.parametrize(
    ("container", "present", "expected"),
    [
        pytest.param(SMALL, running(SMALL), (), id="it has what it asks for"),
        pytest.param(LARGE, running(SMALL), (resized(LARGE),), id="it asks for more"),
        pytest.param(LARGE, running(SMALL, state="exited"), (), id="it does not run"),
        pytest.param(LARGE, there(), (), id="it was never made"),
        pytest.param(
            {**LARGE, "resizePolicy": RESTART},
            running(SMALL),
            (resized(LARGE, restart=True),),
            id="it wants to be restarted for memory",
        ),
        pytest.param(
            {**sized("2", "64Mi"), "resizePolicy": RESTART},
            running(SMALL),
            (resized(sized("2", "64Mi")),),
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
        (sized("5", "64Mi"), [], ("Infeasible", "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000")),
        (sized("1", "9Gi"), [], ("Infeasible", f"Node didn't have enough capacity: memory, requested: {9 << 30}, capacity: {8 << 30}")),
        (sized("2", "64Mi"), [pod(sized("2", "1Gi"))], None),
        (sized("2", "64Mi"), [pod(sized("3", "1Gi"))], ("Deferred", "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000")),
    ],
)  # fmt: skip
def test_room(container, others, expected):
    found = postponed(pod(container), others, {"cpu": "4", "memory": "8Gi", "pods": "110"})
    assert (found and (found.reason, found.message)) == expected


def test_the_plan_waits_for_room_and_ends_what_wants_a_restart():
    notes = Notes("u", checked=True)
    assert plan(pod(LARGE), running(SMALL), notes, NOW_S).resize == (resized(LARGE),)
    ended = plan(pod({**LARGE, "resizePolicy": RESTART}), running(SMALL), notes, NOW_S)
    assert ended.stop == (Stop("web-0", "web", 30.0, "Container web resize requires restart"),)
    assert ended.resize == ()
    notes.postponed = Postponed("Deferred", "no room")
    assert plan(pod(LARGE), running(SMALL), notes, NOW_S).resize == ()


@pytest.mark.parametrize(
    ("wants", "had", "less"),
    [("128Mi", 64 << 20, False), ("64Mi", 64 << 20, False), ("32Mi", 64 << 20, True), ("32Mi", None, True)],
)
def test_what_may_be_less_than_is_used(wants, had, less):
    assert resized(sized("1", wants), had=had).less_memory is less


def whole(cpu, memory):
    amounts = {"cpu": cpu, "memory": memory}
    return a_pod().with_spec(containers=[{"name": "web"}], resources={"limits": amounts, "requests": amounts})


def having(pod):
    return there(tried(resources=asdict(limits(pod, {"name": "web"})), together=asdict(group(pod).resources)))


def test_a_pod_as_a_whole_is_widened_before_and_narrowed_after_its_containers():
    before, after = whole("1", "128Mi"), whole("2", "64Mi")
    assert regroup(before, having(before)) is None
    assert not asked(before, having(before))
    between = replace(group(after), resources=replace(group(after).resources, memory_bytes=128 << 20))
    assert regroup(after, having(before)) == Regroup(("web-0",), between, group(after))
    assert [resize.resources for resize in resizes(after, having(before))] == [limits(after, {"name": "web"})]
    assert plan(after, having(before), Notes("u", checked=True), NOW_S).regroup is not None


def test_no_limit_is_wider_than_any():
    before, after = whole("1", "128Mi"), a_pod().with_spec(
        containers=[{"name": "web"}], resources={"requests": {"cpu": "1"}}
    )  # fmt: skip
    found = regroup(after, having(before))
    assert (found.between.resources.memory_bytes, found.after.resources.cpu_quota_us) == (None, None)


def test_what_failed_is_tried_again():
    notes = Notes("u", checked=True, resizing=True, resize_error="it uses more")
    assert plan(pod(LARGE), running(SMALL), notes, NOW_S).look_again_s == RETRY_S
