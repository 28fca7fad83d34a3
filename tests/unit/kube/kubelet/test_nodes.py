import asyncio
import contextlib
from dataclasses import replace

import pytest

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.object import Key, Meta, Object
from coracle.core.store import MemoryStore
from coracle.core.tasks import run_parts
from coracle.kube.kinds import lease, node
from coracle.kube.kubelet import nodes
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.nodes import Machine, NodeSync, Vitals, node_status, read_host_dns, read_machine, read_vitals
from coracle.testing.autojump import run

CONFIG = NodeConfig(name="node", address="192.0.2.2", pod_cidr="10.32.0.0/16")
MACHINE = Machine(cpus=2, memory_bytes=8 << 30, disk_bytes=1 << 40, kernel="6.18", runtime="crun://1.8.1")
FINE = Vitals(4 << 30, 1 << 39, 30_000)
KEY = Key("", "node")


def conditions(vitals, had=None):
    status = node_status(had or Object("Node", Meta(name="node")), CONFIG, MACHINE, vitals, "2023-11-14T22:13:20Z")
    return {one["type"]: one["status"] for one in status["conditions"]}


@pytest.mark.parametrize(
    ("vitals", "pressed"),
    [
        (FINE, set()),
        (replace(FINE, memory_free_bytes=50 << 20), {"MemoryPressure"}),
        (replace(FINE, disk_free_bytes=100 << 20), {"DiskPressure"}),
        (replace(FINE, pids_free=5), {"PIDPressure"}),
    ],
)
def test_pressure(vitals, pressed):
    assert {type for type, status in conditions(vitals).items() if status == "True"} == {"Ready", *pressed}


def test_the_machine_is_read():
    machine, vitals = read_machine("/", "crun://1"), read_vitals("/")
    assert machine.cpus >= 1
    assert machine.memory_bytes > vitals.memory_free_bytes > 0
    assert vitals.pids_free > 0
    assert set(machine.capacity) == {"cpu", "memory", "ephemeral-storage", "pods"}


def test_the_host_resolv_conf_is_read(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("# x\nnameserver 192.0.2.53\nsearch a.b c.d # end\noptions edns0\nnameserver\n")
    found = read_host_dns(str(path))
    assert (found.servers, found.searches, found.options) == (("192.0.2.53",), ("a.b", "c.d"), ("edns0",))
    assert read_host_dns(str(tmp_path / "none")).servers == ()


@pytest.fixture
def cluster(monkeypatch):
    async def at_once(call, *arguments):
        return FINE

    monkeypatch.setattr(nodes, "offload", at_once)
    store, clock = MemoryStore(), LoopClock()
    return Collection(node.KIND, store, clock), Collection(lease.KIND, store, clock), clock, store


async def live(cluster, seconds):
    written, leases, clock, _ = cluster
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await run_parts([NodeSync(written, leases, CONFIG, MACHINE, clock)], lambda: None)


def test_a_node_registers_and_renews_its_lease(cluster):
    async def main():
        await live(cluster, 35)

    run(main())
    written, leases, _, store = cluster
    found = written.get(KEY)
    assert node.ready(found)
    assert found.meta.labels["kubernetes.io/hostname"] == "node"
    assert found.status["capacity"]["cpu"] == "2"
    assert leases.get(Key("kube-node-lease", "node")).spec["renewTime"] == "2023-11-14T22:13:50.000000Z"
    assert store.revision == 2 + 4  # register, status, four renewals: nothing else is written


def test_a_node_that_was_known_keeps_what_others_said_of_it(cluster):
    async def main():
        written, _, _, _ = cluster
        await written.create(
            Object("Node", Meta(name="node", labels={"disk": "ssd"}), {"spec": {"unschedulable": True}})
        )
        await live(cluster, 5)
        return written.get(KEY)

    found = run(main())
    assert (found.meta.labels["disk"], found.spec["unschedulable"], node.ready(found)) == ("ssd", True, True)


def test_a_node_that_was_deleted_comes_back(cluster):
    async def main():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(live(cluster, 60))
            await asyncio.sleep(5)
            await cluster[0].delete(KEY)
            await asyncio.sleep(20)
            found = cluster[0].find(KEY)
            task.cancel()
            return found

    assert run(main()) is not None


def test_what_others_count_on_the_node_can_be_allocated_until_they_count_it_no_more():
    mine = set(MACHINE.capacity)
    had = {"capacity": {"example.com/foo": "5"}, "allocatable": {"example.com/gone": "1"}}
    status = node_status(Object("Node", Meta(name="node"), {"status": had}), CONFIG, MACHINE, FINE, "")
    assert set(status["capacity"]) == set(status["allocatable"]) == {*mine, "example.com/foo"}
