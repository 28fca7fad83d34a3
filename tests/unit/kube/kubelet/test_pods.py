import asyncio

from coracle.core.object import Key
from coracle.testing.autojump import run

WEB = Key("default", "web")


def test_a_pod_runs(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create()
            await asyncio.sleep(0.1)
            status = machine.pod().status
            assert status["phase"] == "Running"
            assert status["podIP"] == "10.32.0.2"
            assert machine.state() == "running"
            (web,) = status["containerStatuses"]
            assert (web["ready"], web["started"], web["restartCount"]) == (True, True, 0)
            assert {one["type"]: one["status"] for one in status["conditions"]} == dict.fromkeys(
                ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
            )
            assert machine.said() == ["Pulled", "Created", "Started"]

    run(main())
