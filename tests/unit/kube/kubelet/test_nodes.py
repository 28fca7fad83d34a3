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
from coracle.kube.kubelet.configuration import Settings, parse_configuration
from coracle.kube.kubelet.machine import Machine, read_host_dns, read_machine, read_stocks
from coracle.kube.kubelet.nodes import NodeSync
from coracle.kube.kubelet.nodestatus import allocatable, capacity, changed, node_status
from coracle.kube.kubelet.thresholds import MEMORY, SIGNALS, Stock
from coracle.testing.autojump import run

CONFIG = NodeConfig(name="node", address="192.0.2.2", pod_cidr="10.32.0.0/16")
MACHINE = Machine(cpus=2, memory_bytes=8 << 30, disk_bytes=1 << 40, kernel="6.18", runtime="crun://1.8.1")
FINE = {name: Stock(1 << 40, 1 << 39) for name in SIGNALS}
KEY = Key("", "node")


def status_of(pressed, had=None, images=(), machine=MACHINE):
    known = had or Object("Node", Meta(name="node"))
    has = capacity(machine, Settings())
    return node_status(
        known, CONFIG, machine, has=has, gives=has, pressed=pressed, images=images, now="2023-11-14T22:13:20Z"
    )


@pytest.mark.parametrize("pressed", [set(), {"MemoryPressure"}, {"DiskPressure"}, {"PIDPressure"}])
def test_pressure(pressed):
    told = status_of(pressed)["conditions"]
    assert {one["type"] for one in told if one["status"] == "True"} == {"Ready", *pressed}
    assert {one["reason"] for one in told} >= {
        {"MemoryPressure": "KubeletHasInsufficientMemory", "DiskPressure": "KubeletHasDiskPressure", "PIDPressure": "KubeletHasInsufficientPID"}[one]
        for one in pressed
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "there"), [("6.18.44-generic", True), ("6.3", True), ("6.2.9", False), ("5.15.0-1", False), ("", False)]
)
def test_users_of_pods_own_need_a_kernel(kernel, there):
    told = status_of(set(), machine=replace(MACHINE, kernel=kernel))["runtimeHandlers"]
    assert told[0] == {"name": "", "features": {"recursiveReadOnlyMounts": True, "userNamespaces": there}}


def test_what_has_turned_is_told():
    new = Object("Node", Meta(name="node"))
    fine, full = status_of(set()), status_of({"DiskPressure"})
    all = ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady"]
    assert changed(new, fine) == all
    assert changed(new.with_body(status=fine), fine) == []
    assert changed(new.with_body(status=fine), full) == ["NodeHasDiskPressure"]
    assert changed(new.with_body(status=full), fine) == ["NodeHasNoDiskPressure"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"cpu": "2", "memory": "8286208Ki", "ephemeral-storage": "1073217536Ki", "pods": "110"}),
        ({"evictionHard": {MEMORY: "50%"}, "maxPods": 9}, {"cpu": "2", "memory": "4194304Ki", "ephemeral-storage": "1073741824Ki", "pods": "9"}),
        ({"evictionHard": {MEMORY: "0%"}, "systemReserved": {"cpu": "500m", "memory": "1Gi"}}, {"cpu": "1500m", "memory": "7340032Ki", "ephemeral-storage": "1073741824Ki", "pods": "110"}),
    ],
    ids=["without what must stay free", "a share", "without what is reserved"],
)  # fmt: skip
def test_what_pods_can_have(settings, expected):
    read = parse_configuration(settings)
    there = {**FINE, MEMORY: Stock(8 << 30, 4 << 30), "nodefs.available": Stock(1 << 40, 1 << 39)}
    assert allocatable(MACHINE, read, read.thresholds(there)) == expected


def test_what_others_count_on_the_node_is_given_until_they_count_it_no_more():
    had = {"capacity": {"example.com/foo": "5", "cpu": "99"}, "allocatable": {"example.com/gone": "1"}}
    told = status_of(set(), Object("Node", Meta(name="node"), {"status": had}))
    assert told["capacity"]["cpu"] == "2"
    assert set(told["capacity"]) == set(told["allocatable"]) == {*capacity(MACHINE, Settings()), "example.com/foo"}


def test_images_are_shown_by_their_full_names():
    def image(size, *names, digests=()):
        return Object(
            "Image", Meta(name=str(size)), {"spec": {"size_bytes": size, "references": names, "digests": digests}}
        )

    digest = "nginx@sha256:" + "a" * 64
    told = status_of(
        set(), images=[image(1, "busybox:latest"), image(3), image(2, "nginx:latest", "me/web:1", digests=[digest])]
    )
    assert told["images"] == [
        {
            "names": ["docker.io/library/nginx:latest", f"docker.io/library/{digest}", "docker.io/me/web:1"],
            "sizeBytes": 2,
        },
        {"names": ["docker.io/library/busybox:latest"], "sizeBytes": 1},
    ]


def test_the_machine_is_read():
    machine, stocks = read_machine("/", "crun://1"), read_stocks("/")
    assert machine.cpus >= 1
    assert set(stocks) == set(SIGNALS)
    assert machine.memory_bytes >= stocks[MEMORY].capacity > stocks[MEMORY].available > 0
    assert stocks["pid.available"].available > 0


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


class Said:
    """Remembers what was said."""

    def __init__(self):
        self.reasons = []

    def emit(self, obj, type, reason, message, *, field=""):
        self.reasons.append(reason)


async def live(cluster, seconds, machine=MACHINE):
    written, leases, clock, _ = cluster
    said = Said()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            part = NodeSync(written, leases, CONFIG, machine, Settings(), recorder=said, clock=clock)
            await run_parts([part], lambda: None)
    return said.reasons


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


def test_the_labels_of_its_system_are_mended(cluster):
    async def main():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(live(cluster, 45))
            await asyncio.sleep(5)
            wrong = {"kubernetes.io/os": "other", "kubernetes.io/arch": "other", "disk": "ssd"}
            await cluster[0].change(KEY, lambda one: one.with_meta(labels={**one.meta.labels, **wrong}))
            await task
            return cluster[0].get(KEY).meta.labels

    labels = run(main())
    assert (labels["kubernetes.io/os"], labels["kubernetes.io/arch"], labels["disk"]) == ("linux", "amd64", "ssd")


def test_a_reboot_is_told(cluster):
    async def main():
        first = await live(cluster, 5, replace(MACHINE, boot_id="1"))
        again = await live(cluster, 5, replace(MACHINE, boot_id="1"))
        return first, again, await live(cluster, 5, replace(MACHINE, boot_id="2"))

    first, again, rebooted = run(main())
    assert first == ["Starting", "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady"]  # fmt: skip
    assert (again, rebooted) == (["Starting"], ["Starting", "Rebooted"])


def test_a_cordon_is_told(cluster):
    async def main():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(live(cluster, 45))
            for cordoned in (True, False):
                await asyncio.sleep(15)
                await cluster[0].change(KEY, lambda one, cordoned=cordoned: one.with_spec(unschedulable=cordoned))
            return await task

    assert run(main())[-2:] == ["NodeNotSchedulable", "NodeSchedulable"]
