"""Init containers, sidecars, hooks, probes and last words, with the real kubelet on virtual time."""

import asyncio
import random
from pathlib import Path

import pytest

from coracle.core.errors import Unavailable
from coracle.core.object import Key
from coracle.kube.kubelet.actions import ActionFailed
from coracle.testing.autojump import run

GROUPS = ("initContainerStatuses", "containerStatuses")
WEB = Key("default", "web")


def container(name="web", *argv, **more):
    return {"name": name, "image": "nginx:1", **({"command": list(argv)} if argv else {}), **more}


def sidecar(name, *argv, **more):
    return container(name, *argv, restartPolicy="Always", **more)


def ended_at(machine):
    """When each container ended, by name."""
    records = [one for one in machine.records() if one.status.get("finished_at")]
    return {one.meta.labels["io.kubernetes.container.name"]: one.status["finished_at"] for one in records}


def test_sidecars_run_beside_the_others_and_end_after_them_in_reverse(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            inits = [
                sidecar("one", "stubborn", "serve"),
                sidecar("two", "stubborn", "serve"),
                container("first", "true"),
            ]
            await machine.create("web", container("web", "sleep", "5"), initContainers=inits, restartPolicy="Never",
                                 terminationGracePeriodSeconds=3)  # fmt: skip
            await asyncio.sleep(6)
            during = machine.pod().status["phase"], sorted(ended_at(machine))
            await asyncio.sleep(10)
            return during, machine.pod().status["phase"], ended_at(machine)

    during, phase, ended = run(main())
    assert during == ("Running", ["first", "web"])
    assert phase == "Succeeded"
    assert sorted(ended, key=ended.__getitem__) == ["first", "web", "two", "one"]


def test_a_sidecar_is_restarted_while_the_others_run(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", initContainers=[sidecar("beside", "sleep", "3")], restartPolicy="Never")
            await asyncio.sleep(5)
            (beside,) = machine.pod().status["initContainerStatuses"]
            return beside["restartCount"], machine.pod().status["phase"]

    assert run(main()) == (1, "Running")


def test_an_ephemeral_container_joins_a_running_pod_once(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create()
            await asyncio.sleep(1)
            late = [container("late", "exit", "3", targetContainerName="web")]
            await machine.pods.change(WEB, lambda pod: pod.with_spec(ephemeralContainers=late), "ephemeralcontainers")
            await asyncio.sleep(60)
            (one,) = machine.pod().status["ephemeralContainerStatuses"]
            return one["state"]["terminated"]["exitCode"], one["restartCount"], machine.state(), len(machine.records())

    assert run(main()) == (3, 0, "running", 2)


def test_a_container_runs_once_its_hook_has(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            hook = {"postStart": {"sleep": {"seconds": 5}}}
            await machine.create("web", container("web", lifecycle=hook))
            seen = []
            for _ in range(2):
                await asyncio.sleep(3)
                seen.append((machine.pod().status["phase"], machine.state()))
            return seen

    assert run(main()) == [("Pending", "ContainerCreating"), ("Running", "running")]


def test_a_failed_hook_ends_its_container(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            hook = {"postStart": {"exec": {"command": ["false"]}}}
            await machine.create("web", container("web", lifecycle=hook))
            await asyncio.sleep(5)
            (web,) = machine.pod().status["containerStatuses"]
            return web["state"], web["lastState"]["terminated"]["exitCode"], web["restartCount"]

    state, code, restarts = run(main())
    assert state == {"waiting": {"reason": "PostStartHookError", "message": "PostStartHook failed"}}
    assert (code, restarts) == (143, 1)
    assert (machine.messages("FailedPostStartHook")[0], machine.messages("Killing")[0]) == (
        "PostStartHook failed",
        "FailedPostStartHook",
    )


def test_a_pre_stop_hook_uses_the_grace_and_leaves_a_little(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            hook = {"preStop": {"exec": {"command": ["sleep", "60"]}}}
            await machine.create("web", container("web", lifecycle=hook), terminationGracePeriodSeconds=10)
            await asyncio.sleep(1)
            await machine.pods.delete(WEB)
            there = []
            for wait_s in (9.5, 3.5):
                await asyncio.sleep(wait_s)
                there.append(machine.pod() is not None)
            return there

    assert run(main()) == [True, False]


def test_what_probes_had_found_outlives_the_daemon(machine):
    async def main():
        await machine.has_image("nginx:1")
        probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": 5}
        async with machine.daemon():
            await machine.create("web", container("web", readinessProbe=probe, startupProbe=probe))
            await asyncio.sleep(20)
        watch = machine.store.watch("Pod")
        async with machine.daemon():
            await asyncio.sleep(20)
        watch.progress()
        ready = []
        while (batch := watch.next_nowait()) is not None:
            ready += [event.entry.object().status["containerStatuses"][0]["ready"] for event in batch.events]
        return ready, machine.pod().status["containerStatuses"][0]["ready"]

    ready, now = run(main())
    assert False not in ready
    assert now


def test_a_probe_that_cannot_be_tried_says_nothing_of_the_container(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            alive = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1}
            machine.runtime.failures["exec"] = [Unavailable("no such program"), ActionFailed("dead")]
            await machine.create("web", container("web", livenessProbe=alive))
            await asyncio.sleep(0.5)
            before = machine.records()[0].status["state"]
            await asyncio.sleep(5)
            return before, machine.pod().status["containerStatuses"][0]["restartCount"], machine.looks(machine.pod())

    before, restarts, looks = run(main())
    assert (before, restarts) == ("running", 1)
    assert (looks["web", "Liveness", "unknown"], looks["web", "Liveness", "failed"]) == (1, 1)
    assert looks["web", "Liveness", "successful"] >= 2  # of the container that came after, too
    assert machine.messages("Unhealthy") == [
        "Liveness probe errored and resulted in unknown state: no such program",
        "Liveness probe failed: dead",
    ]
    assert machine.messages("Killing") == ["Container web failed liveness probe, will be restarted"]


def say_last(path):
    Path(path).write_text("goodbye" + "!" * 10_000)


def test_last_words(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            paths = {"terminationMessagePath": "/dev/last", "terminationMessagePolicy": "FallbackToLogsOnError"}
            await machine.create("web", container("web", "sleep", "5", **paths), restartPolicy="Never")
            await asyncio.sleep(1)
            (record,) = machine.records()
            (mount,) = (one for one in record.spec["mounts"] if one["target"] == "/dev/last")
            say_last(mount["source"])
            await asyncio.sleep(10)
        async with machine.daemon():
            await asyncio.sleep(1)
            return machine.pod().status["containerStatuses"][0]["state"]["terminated"]["message"]

    said = run(main())
    assert said == "goodbye" + "!" * 4089


def test_a_failed_pre_stop_hook_is_told_and_holds_nothing_up(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            hook = {"preStop": {"exec": {"command": ["false"]}}}
            await machine.create("web", container("web", lifecycle=hook))
            await asyncio.sleep(1)
            await machine.pods.delete(WEB)
            await asyncio.sleep(1)
            return machine.pod(), machine.messages("FailedPreStopHook")

    assert run(main()) == (None, ["PreStopHook failed"])


def test_a_deleted_pod_does_not_wait_for_its_post_start_hook(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", lifecycle={"postStart": {"sleep": {"seconds": 30}}}))
            await asyncio.sleep(1)
            await machine.pods.delete(WEB)
            await asyncio.sleep(1)
            return machine.pod()

    assert run(main()) is None


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_killed_comes_back(machine, seed):
    """Containers, sidecars and init containers are killed at random moments, and the daemon with them."""
    chance = random.Random(seed)

    async def main():
        await machine.has_image("nginx:1")
        inits = [sidecar("one"), container("first", "sleep", "2"), sidecar("two")]
        await machine.create("web", container("a"), container("b"), initContainers=inits)
        kills = 0
        for _ in range(4):
            async with machine.daemon():
                for _ in range(5):
                    await asyncio.sleep(chance.uniform(0, 40))
                    running = [one.meta.name for one in machine.records() if one.status["state"] == "running"]
                    for id in chance.sample(running, min(len(running), chance.randrange(3))):
                        await machine.runtime.kill(id, 9)
                        kills += 1
        async with machine.daemon():
            await asyncio.sleep(2000)
            status = machine.pod().status
            counts = [one["restartCount"] for group in GROUPS for one in status[group]]
            return kills, sum(counts), status["phase"], [machine.state(name) for name in "ab"], len(machine.net.ports)

    kills, restarts, phase, states, ports = run(main())
    assert (restarts, phase, states, ports) == (kills, "Running", ["running", "running"], 1)
