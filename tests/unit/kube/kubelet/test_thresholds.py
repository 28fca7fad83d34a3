"""When the node is short, for how long it counts, and in which order something is done about it."""

from __future__ import annotations

import pytest

from coracle.kube.kubelet.thresholds import MEMORY, PIDS, Amount, Stock, Strain, Threshold, crossed

DISK = "nodefs.available"
HARD = Threshold(DISK, Amount(100))
SOFT = Threshold(DISK, Amount(300), grace_s=60)
WANTS = Threshold(DISK, Amount(100), reclaim=Amount(50))


def disk(available, capacity=1000):
    return {DISK: Stock(capacity, available)}


@pytest.mark.parametrize(
    ("threshold", "stocks", "reclaimed", "expected"),
    [
        pytest.param(HARD, disk(99), False, True, id="less than it asks for"),
        pytest.param(HARD, disk(100), False, False, id="as much as it asks for"),
        pytest.param(Threshold(DISK, Amount(share=0.2)), disk(199), False, True, id="a share of what there is"),
        pytest.param(Threshold(DISK, Amount(share=0.2)), disk(200), False, False, id="the share is there"),
        pytest.param(WANTS, disk(120), False, False, id="more is wanted back only once it was crossed"),
        pytest.param(WANTS, disk(120), True, True, id="more is wanted back"),
        pytest.param(WANTS, disk(150), True, False, id="as much as was wanted back"),
        pytest.param(HARD, disk(0, 0), False, False, id="a file system that does not count"),
        pytest.param(HARD, {}, False, False, id="nothing is known"),
    ],
)
def test_crossed(threshold, stocks, reclaimed, expected):
    assert (crossed([threshold], stocks, reclaimed=reclaimed) == [threshold]) is expected


def looks(thresholds, *seen):
    strain = Strain()
    for at_s, available in seen:
        strain = strain.look(thresholds, disk(available), at_s)
    return strain


@pytest.mark.parametrize(
    ("threshold", "seen", "due", "pressed"),
    [
        pytest.param(HARD, [(0, 50)], True, True, id="a hard one at once"),
        pytest.param(SOFT, [(0, 250), (59, 250)], False, True, id="a soft one only says so for its grace"),
        pytest.param(SOFT, [(0, 250), (60, 250)], True, True, id="a soft one after its grace"),
        pytest.param(SOFT, [(0, 250), (30, 400), (61, 250)], False, True, id="its grace begins anew"),
        pytest.param(WANTS, [(0, 50), (10, 120)], True, True, id="until what is wanted back is there"),
        pytest.param(WANTS, [(0, 50), (10, 150)], False, True, id="then the condition alone stays"),
        pytest.param(WANTS, [(0, 50), (10, 150), (45, 150)], False, False, id="and goes after a while"),
        pytest.param(WANTS, [(0, 120)], False, False, id="never crossed"),
    ],
)
def test_looks(threshold, seen, due, pressed):
    strain = looks([threshold], *seen)
    assert (strain.due == [threshold]) is due
    assert ("DiskPressure" in strain.conditions(seen[-1][0], 30)) is pressed


def test_without_a_transition_the_condition_is_what_was_found():
    assert looks([HARD], (0, 50)).conditions(0, 0) == {"DiskPressure"}
    assert looks([HARD], (0, 50), (1, 500)).conditions(1, 0) == frozenset()


def test_memory_is_most_urgent_and_processes_least():
    thresholds = [Threshold(name, Amount(10)) for name in (PIDS, "nodefs.inodesFree", DISK, MEMORY)]
    strain = Strain().look(thresholds, {one.signal: Stock(100, 0) for one in thresholds}, 0)
    assert [one.resource for one in strain.due] == ["memory", "ephemeral-storage", "inodes", "pids"]
    assert strain.conditions(0, 0) == {"MemoryPressure", "DiskPressure", "PIDPressure"}
