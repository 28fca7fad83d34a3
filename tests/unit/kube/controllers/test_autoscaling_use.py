"""How many pods a metric asks for: the arithmetic, and which pods count."""

import pytest

from coracle.core.clock import rfc3339
from coracle.core.object import Meta, Object
from coracle.kube.controllers.autoscaling.use import Goal, Unmeasured, Verdict, replicas
from coracle.kube.kinds.metrics import Amounts, Measurement

NOW = 1_700_000_000.0
HALF = Goal("cpu", percent=50)


def pod(uid, *, phase="Running", ready=True, age_s=3600.0, ready_for_s=3600.0, request="100m", deleting="", **spec):
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": rfc3339(NOW - ready_for_s)}
    status = {"phase": phase, "startTime": rfc3339(NOW - age_s), "conditions": [condition]}
    resources = {"requests": {"cpu": request, "memory": "100Mi"}} if request else {}
    containers = [{"name": "main", "resources": resources}]
    return Object(
        "Pod", Meta(uid, "default", uid=uid, deleting=deleting),
        {"spec": {"containers": containers, **spec}, "status": status},
    )  # fmt: skip


def used(**milli):
    return {
        uid: Measurement(NOW, 15.0, {"main": Amounts(int(each * 10**6), int(each * (1 << 20)))})
        for uid, each in milli.items()
    }


def many(count, **options):
    return [pod(f"p{number}", **options) for number in range(count)]


def each(count, milli):
    return used(**{f"p{number}": milli for number in range(count)})


@pytest.mark.parametrize(
    ("goal", "pods", "measured", "expected"),
    [
        (HALF, many(2), each(2, 50), Verdict(2, 50, 50)),
        (HALF, many(2), each(2, 54), Verdict(2, 54, 54)),
        (HALF, many(2), each(2, 56), Verdict(3, 56, 56)),
        (HALF, many(2), each(2, 46), Verdict(2, 46, 46)),
        (HALF, many(4), each(4, 20), Verdict(2, 20, 20)),
        (HALF, many(2), each(2, 200), Verdict(8, 200, 200)),
        (HALF, many(3), each(3, 0), Verdict(0, 0, 0)),
        (Goal("cpu", each_milli=100), many(2), each(2, 150), Verdict(3, 150)),
        (Goal("memory", each_milli=50 * 2**20 * 1000), many(2), each(2, 100), Verdict(4, 100 * 2**20 * 1000)),
        (Goal("memory", percent=50), many(2), each(2, 100), Verdict(4, 100 * 2**20 * 1000, 100)),
        (Goal("cpu", percent=50, tolerances=(0.1, 0.5)), many(2), each(2, 70), Verdict(2, 70, 70)),
        (Goal("cpu", percent=50, tolerances=(0.5, 0.1)), many(2), each(2, 30), Verdict(2, 30, 30)),
    ],
    ids=[
        "as it should be", "a little above is near enough", "more than a tenth above is not", "a little below is too",
        "fewer", "many more", "none used", "an amount of each", "memory of each", "memory in percent",
        "a tolerance of one's own above", "and below",
    ],
)  # fmt: skip
def test_the_arithmetic(goal, pods, measured, expected):
    assert replicas(goal, len(pods), pods, measured, NOW) == expected


@pytest.mark.parametrize(
    ("pods", "measured", "expected"),
    [
        ([pod("a"), pod("b", phase="Pending")], used(a=100), 2),
        ([pod("a"), pod("b", phase="Pending")], used(a=10), 1),
        ([pod("a"), pod("b", ready=False, age_s=60)], used(a=100, b=500), 2),
        ([pod("a"), pod("b", age_s=60, ready_for_s=5)], used(a=100, b=500), 2),
        ([pod("a"), pod("b", age_s=60, ready_for_s=30)], used(a=100, b=100), 4),
        ([pod("a"), pod("b", ready=False, age_s=3600, ready_for_s=3590)], used(a=50, b=500), 2),
        ([pod("a"), pod("b", ready=False, age_s=3600, ready_for_s=60)], used(a=100, b=100), 4),
        ([pod("a"), pod("b")], used(a=100), 2),
        ([pod("a"), pod("b")], used(a=20), 2),
        ([pod("a"), pod("b"), pod("c"), pod("d")], used(a=10, b=10, c=10), 3),
        ([pod("a"), pod("b", phase="Failed")], used(a=100, b=100), 2),
        ([pod("a"), pod("b", deleting="2023-11-14T22:13:20Z")], used(a=100, b=100), 2),
    ],
    ids=[
        "one that waits uses nothing, before more are asked for", "and does not count, before fewer are",
        "one that starts and is not ready says nothing", "nor one measured before it was ready",
        "one ready for longer than it was measured counts", "one that was never ready says nothing",
        "one that was ready once counts", "one unknown uses nothing, before more are asked for",
        "and all it asks for, before fewer are", "many more known than unknown: a few fewer",
        "one that failed is not there", "nor one that is going",
    ],
)  # fmt: skip
def test_which_pods_count(pods, measured, expected):
    assert replicas(HALF, len(pods), pods, measured, NOW).replicas == expected


@pytest.mark.parametrize(
    ("goal", "pods", "measured", "said"),
    [
        (HALF, many(1), {}, "unable to get metrics for resource cpu: no metrics returned from resource metrics API"),
        (HALF, many(1, phase="Pending"), each(1, 5), "did not receive metrics for targeted pods (pods might be unready)"),
        (HALF, many(1, request=""), each(1, 5), "missing request for cpu in container main of Pod p0"),
        (Goal("cpu", 50, container="side"), many(1), each(1, 5), "container side not present in metrics for pod default/p0"),
    ],
    ids=["nothing measured", "only those that wait", "nothing requested", "no such container"],
)  # fmt: skip
def test_what_cannot_be_judged(goal, pods, measured, said):
    with pytest.raises(Unmeasured) as caught:
        replicas(goal, 1, pods, measured, NOW)
    assert str(caught.value) == said


def test_one_container_of_several():
    several = [{"name": name, "resources": {"requests": {"cpu": "100m"}}} for name in ("main", "side")]
    pods = [pod("a", containers=several)]
    amounts = {"main": Amounts(90_000_000, 0), "side": Amounts(10_000_000, 0)}
    measured = {"a": Measurement(NOW, 15.0, amounts)}
    assert replicas(HALF, 1, pods, measured, NOW) == Verdict(1, 100, 50)
    assert replicas(Goal("cpu", 50, container="main"), 1, pods, measured, NOW) == Verdict(2, 90, 90)
