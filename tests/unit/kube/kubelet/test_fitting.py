import asyncio

import pytest

from coracle.core.collection import Deletion
from coracle.kube.kubelet.fitting import is_new, misfit
from coracle.testing.autojump import run
from suites.attempts import a_pod

CAPACITY = {"cpu": "2", "memory": "1Gi", "pods": "3"}
NO_PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"


def a_container(*ports, **requests):
    return {"name": "web", "image": "nginx:1", "ports": list(ports), "resources": {"requests": requests}}


def asking(*ports, **requests):
    return a_pod(containers=[a_container(*ports, **requests)])


def port(number=8080, **more):
    return {"containerPort": 80, "hostPort": number, **more}


@pytest.mark.parametrize(
    ("pod", "others", "expected"),
    [
        (asking(), [], None),
        (asking(port()), [asking(port(8081)), asking()], None),
        (asking(port()), [asking(port(protocol="UDP"))], None),
        (asking(port(hostIP="127.0.0.1")), [asking(port(hostIP="192.0.2.2"))], None),
        (asking(port()), [asking(port())], ("NodePorts", NO_PORTS)),
        (asking(port(hostIP="127.0.0.1")), [asking(port(hostIP="0.0.0.0"))], ("NodePorts", NO_PORTS)),
        (asking(cpu="1500m"), [asking(cpu="500m")], None),
        (asking(cpu="1500m"), [asking(cpu="501m")],
         ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 1500, used: 501, capacity: 2000")),
        (asking(memory="2Gi"), [],
         ("OutOfmemory", "Node didn't have enough resource: memory, requested: 2147483648, used: 0, "
          "capacity: 1073741824")),
        (asking(), [asking()] * 3,
         ("OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3")),
        (asking(**{"example.com/thing": "1"}), [], None),
    ],
)  # fmt: skip
def test_misfit(pod, others, expected):
    refused = misfit(pod, others, CAPACITY)
    assert (refused and (refused.reason, refused.message)) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, True),
        ({"startTime": "2023-11-14T22:13:20Z"}, False),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, True),
    ],
)
def test_who_is_new(status, expected):
    assert is_new(a_pod().with_body(status=status)) is expected


def test_of_two_pods_placed_by_hand_with_one_port_the_first_runs(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            for name in ("one", "two"):
                await machine.create(name, a_container(port()))
            await asyncio.sleep(60)
            found = {name: machine.pod(name).status for name in ("one", "two")}
            assert sorted(status["phase"] for status in found.values()) == ["Failed", "Running"]
            (failed,) = (status for status in found.values() if status["phase"] == "Failed")
            assert (failed["reason"], failed["message"]) == ("NodePorts", f"Pod was rejected: {NO_PORTS}")
            assert "containerStatuses" not in failed
            assert (len(machine.records()), machine.messages("NodePorts")) == (1, [NO_PORTS])
            (running,) = (name for name, status in found.items() if status["phase"] == "Running")
            await machine.pods.delete(machine.pod(running).key)
            await asyncio.sleep(60)
            await machine.create("three", a_container(port()))
            await asyncio.sleep(60)
            return machine.pod("three").status["phase"]

    assert run(main()) == "Running"


def test_room_that_is_being_given_up_is_waited_for(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("one", a_container(port()))
            await asyncio.sleep(5)
            await machine.create("two", a_container(port()))
            await asyncio.sleep(0.2)
            before = machine.pod("two").status["phase"]
            await machine.pods.delete(machine.pod("one").key, Deletion(grace_s=0))
            await asyncio.sleep(10)
            return before, machine.pod("two").status["phase"], machine.messages("NodePorts")

    assert run(main()) == ("Pending", "Running", [])
