"""Measuring: over which time, of what, and how often anything is looked at."""

import asyncio

import pytest

from coracle.core.clock import LoopClock
from coracle.core.errors import NotFound
from coracle.core.object import Meta, Object
from coracle.kube.kinds.metrics import Amounts, Measurement, node_metrics, pod_metrics
from coracle.kube.kubelet.metering import NODE, Metering, Rates, Sample
from coracle.kube.kubelet.records import Attempt, Present
from coracle.testing.autojump import run


class Host:
    """Containers that use `rate` processors each since time 0; `reads` counts how often they are looked at."""

    def __init__(self, **states):
        self.clock, self.reads, self.rate, self.gone = LoopClock(), [], 0.5, set()
        attempts = {name: (Attempt(f"id-{name}", name, 0, state, pod_uid="u1"),) for name, state in states.items()}
        self.present = Present(None, attempts)
        self.meter = Metering(self, self.read, self.clock)

    def of(self, key):
        return {"u1": self.present}

    def read(self, id):
        self.reads.append(id)
        if id in self.gone:
            raise NotFound(kind="Container", name=id)
        return int(self.clock.monotonic_s() * self.rate * 1e9), 4096


def a_pod(*names):
    return Object("Pod", Meta("web", "default", uid="u1"), {"spec": {"containers": [{"name": name} for name in names]}})


def test_the_first_to_ask_waits_a_second_and_the_next_does_not():
    async def scene():
        host = Host(main="running")
        first = await host.meter.pods([a_pod("main")])
        assert asyncio.get_running_loop().time() == pytest.approx(1)
        assert first["u1"].amounts == {"main": Amounts(500_000_000, 4096)}
        assert first["u1"].window_s == pytest.approx(1)
        await asyncio.sleep(14)
        second = await host.meter.pods([a_pod("main")])
        assert asyncio.get_running_loop().time() == pytest.approx(15)
        assert second["u1"].window_s == pytest.approx(14)

    run(scene())


def test_nothing_is_measured_while_nobody_asks():
    async def scene():
        host = Host(main="running")
        await host.meter.node()
        reads = len(host.reads)
        await asyncio.sleep(3600)
        assert len(host.reads) == reads == 2

    run(scene())


def test_what_was_measured_long_ago_is_measured_anew():
    async def scene():
        host = Host(main="running")
        await host.meter.node()
        await asyncio.sleep(3600)
        found = await host.meter.node()
        assert found.window_s == pytest.approx(1)

    run(scene())


def test_asking_often_does_not_shorten_the_window_below_a_second():
    async def scene():
        host = Host(main="running")
        for _ in range(20):
            found = await host.meter.node()
            assert found.window_s >= 1
            assert found.amounts[NODE].cpu_nano == pytest.approx(500_000_000, abs=2)
            await asyncio.sleep(0.1)

    run(scene())


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"main": "running", "side": "running"}, {"main", "side"}),
        ({"main": "running", "side": "exited"}, {"main"}),
        ({"main": "exited"}, None),
        ({}, None),
    ],
    ids=["all that run", "not one that has ended", "a pod of which nothing runs is left out", "nor one not begun"],
)
def test_whose_use_is_told(states, expected):
    async def scene():
        found = await Host(**states).meter.pods([a_pod("main", "side")])
        assert (set(found["u1"].amounts) if found else None) == expected

    run(scene())


def test_a_pod_whose_container_ends_meanwhile_is_left_out():
    async def scene():
        host = Host(main="running")
        host.gone.add("id-main")
        assert await host.meter.pods([a_pod("main")]) == {}

    run(scene())


def test_rates_keep_two_samples_at_most():
    rates = Rates()
    for at_s in (0, 0.5, 1, 1.5, 2):
        rates.keep("a", Sample(at_s, 0, 0))
    assert rates.base("a", 2.5) == Sample(1, 0, 0)
    assert rates.base("a", 3) == Sample(2, 0, 0)
    assert rates.base("a", 63) is None
    rates.forget_old(63)
    assert rates.base("a", 3) is None


def test_metrics_are_written_as_the_metrics_server_writes_them():
    found = Measurement(1_700_000_000.0, 75.25, {"b": Amounts(1_500_000, 2048), "a": Amounts(0, 1000)})
    shown = pod_metrics(Object("Pod", Meta("web", "default", labels={"app": "web"})), found)
    assert shown.body["timestamp"] == "2023-11-14T22:13:20Z"
    assert shown.body["window"] == "1m15.25s"
    assert shown.body["containers"] == [
        {"name": "a", "usage": {"cpu": "0", "memory": "1k"}},
        {"name": "b", "usage": {"cpu": "1500u", "memory": "2Ki"}},
    ]
    node = node_metrics(Object("Node", Meta("n1")), Measurement(0, 1.0, {"": Amounts(2_000_000_000, 1 << 30)}))
    assert node.body["usage"] == {"cpu": "2", "memory": "1Gi"}
    assert node.body["window"] == "1s"
