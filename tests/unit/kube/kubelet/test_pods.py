import asyncio
from itertools import pairwise

import pytest

from coracle.core.collection import Deletion
from coracle.core.errors import Unavailable
from coracle.core.object import Key, Meta, Object
from coracle.kube.kubelet.actions import ActionFailed
from coracle.kube.kubelet.records import CONTAINER, SANDBOX, Present
from coracle.kube.kubelet.stopping import Clearer
from coracle.testing.autojump import run

MOUNTED = [{"name": "scratch", "mountPath": "/scratch"}]
WEB = Key("default", "web")


def container(name="web", *argv, **more):
    return {"name": name, "image": "nginx:1", **({"command": list(argv)} if argv else {}), **more}


def statuses(machine, name="web"):
    return {one["name"]: one for one in machine.pod(name).status["containerStatuses"]}


def test_a_pod_runs(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create()
            await asyncio.sleep(0.1)
            status = machine.pod().status
            assert (status["phase"], status["podIP"], machine.state()) == ("Running", "10.32.0.2", "running")
            (web,) = status["containerStatuses"]
            assert (web["ready"], web["started"], web["restartCount"]) == (True, True, 0)
            assert web["containerID"] == f"coracle://{machine.records()[0].meta.name}"
            assert {one["type"]: one["status"] for one in status["conditions"]} == dict.fromkeys(
                ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
            )
            assert machine.said() == ["Pulled", "Created", "Started"]

    run(main())


def test_a_pod_is_seen_waiting_before_it_runs_and_little_is_written(machine):
    async def main():
        await machine.has_image("nginx:1")
        watch = machine.store.watch("Pod")
        async with machine.daemon():
            await machine.create("web", container("a"), container("b"))
            await asyncio.sleep(1)
        watch.progress()
        seen = []
        while (batch := watch.next_nowait()) is not None:
            seen += [event.entry.object() for event in batch.events]
        return [(pod.status["phase"], [next(iter(one["state"])) for one in pod.status.get("containerStatuses", ())])
                for pod in seen]  # fmt: skip

    assert run(main()) == [
        ("Pending", []),
        ("Pending", ["waiting", "waiting"]),
        ("Pending", ["waiting", "waiting"]),  # it has an address
        ("Running", ["running", "running"]),
    ]


def test_a_pod_of_another_node_is_left_alone(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create(nodeName="other")
            await machine.create("unscheduled", nodeName="")
            await asyncio.sleep(60)
            return machine.records(), machine.records(SANDBOX), machine.pod().status["phase"]

    assert run(main()) == ([], [], "Pending")


def test_pods_have_their_own_addresses_and_their_containers_share_one(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("one", container("a"), container("b"))
            await machine.create("two")
            await asyncio.sleep(1)
            bundles = [machine.runtime.bundle(record.meta.name) for record in machine.records()]
            addresses = {machine.pod(name).status["podIP"] for name in ("one", "two")}
            return addresses, sorted({bundle.netns_path.rpartition("/")[2] for bundle in bundles}), len(bundles)

    addresses, namespaces, containers = run(main())
    assert (addresses, len(namespaces), containers) == ({"10.32.0.2", "10.32.0.3"}, 2, 3)


# -- ending and restarting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "argv", "phase", "reason", "restarts"),
    [
        pytest.param("Never", ["exit", "0"], "Succeeded", "Completed", 0, id="never, well"),
        pytest.param("Never", ["exit", "3"], "Failed", "Error", 0, id="never, badly"),
        pytest.param("OnFailure", ["exit", "0"], "Succeeded", "Completed", 0, id="on failure, well"),
        pytest.param("OnFailure", ["exit", "3"], "Running", "CrashLoopBackOff", 1, id="on failure, badly"),
        pytest.param("Always", ["exit", "0"], "Running", "CrashLoopBackOff", 1, id="always, well"),
        pytest.param("Never", ["oom"], "Failed", "OOMKilled", 0, id="killed for its memory"),
        pytest.param("Never", ["missing"], "Failed", "StartError", 0, id="never started"),
        pytest.param("Always", ["missing"], "Running", "RunContainerError", 1, id="cannot be started"),
    ],
)
def test_what_ends_is_restarted_by_policy(machine, policy, argv, phase, reason, restarts):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", *argv), restartPolicy=policy)
            await asyncio.sleep(5)
            return machine.pod().status["phase"], machine.state(), statuses(machine)["web"]["restartCount"]

    assert run(main()) == (phase, reason, restarts)


def test_restarts_come_after_doubling_delays_up_to_five_minutes(machine):
    async def main():
        await machine.has_image("nginx:1")
        watch = machine.store.watch(CONTAINER)
        async with machine.daemon():
            await machine.create("web", container("web", "false"))
            await asyncio.sleep(3000)
        begun_s = []
        while (batch := watch.next_nowait()) is not None:
            for event in batch.events:
                record = event.entry.object()
                if event.type == "MODIFIED" and record.status["state"] == "running":
                    begun_s.append(record.status["started_at"])
        return [_s(at) for at in begun_s], machine

    begun_s, machine = run(main())
    assert [round(b - a) for a, b in pairwise(begun_s)][:8] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert len(machine.records()) == 2  # the present attempt and the last
    web = statuses(machine)["web"]
    assert web["lastState"]["terminated"]["exitCode"] == 1
    assert web["state"]["waiting"]["message"].startswith(
        "back-off 5m0s restarting failed container=web pod=web_default("
    )
    assert machine.messages("BackOff")


def _s(at):
    from coracle.core.clock import from_rfc3339

    return from_rfc3339(at)


def test_one_that_ran_for_ten_minutes_starts_afresh(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", "sleep", "700"))
            await asyncio.sleep(1405)
            return statuses(machine)["web"]["restartCount"], machine.state()

    assert run(main()) == (2, "running")


def test_a_killed_process_comes_back_as_the_same_pod(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create()
            await asyncio.sleep(700)
            before = machine.pod().status
            await machine.runtime.kill(machine.records()[0].meta.name, 9)
            await asyncio.sleep(1)
            return before, machine.pod().status

    before, after = run(main())
    assert after["podIP"] == before["podIP"]
    (web,) = after["containerStatuses"]
    assert (web["restartCount"], web["ready"], web["lastState"]["terminated"]["exitCode"]) == (1, True, 137)


def test_a_pod_that_is_over_gives_its_address_back_and_keeps_its_records(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", "true"), restartPolicy="Never")
            await asyncio.sleep(5)
            return machine.pod().status["podIP"], machine.records(SANDBOX), len(machine.records()), machine.net.ports

    assert run(main()) == ("10.32.0.2", [], 1, {})


def test_init_containers_run_in_order_before_the_others(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            inits = [container("one", "sleep", "5"), container("two", "sleep", "5")]
            await machine.create("web", initContainers=inits)
            seen = []
            for _ in range(3):
                await asyncio.sleep(4)
                seen.append(sorted(record.labels["io.kubernetes.container.name"] for record in _metas(machine)))
            return seen, machine.pod().status

    seen, status = run(main())
    assert seen == [["one"], ["one", "two"], ["one", "two", "web"]]
    assert status["phase"] == "Running"
    assert [one["state"]["terminated"]["reason"] for one in status["initContainerStatuses"]] == ["Completed"] * 2


def _metas(machine):
    return [record.meta for record in machine.records()]


def test_a_failed_init_container_fails_a_pod_that_is_never_restarted(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", initContainers=[container("one", "false")], restartPolicy="Never")
            await asyncio.sleep(30)
            return machine.pod().status["phase"], len(machine.records())

    assert run(main()) == ("Failed", 1)


def test_a_pod_past_its_deadline_fails(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create(activeDeadlineSeconds=60)
            await asyncio.sleep(62)
            status = machine.pod().status
            return status["phase"], status["reason"], machine.records()[0].status["state"]

    assert run(main()) == ("Failed", "DeadlineExceeded", "exited")


# -- images -----------------------------------------------------------------------------------------------------------


class Registry:
    """A source that takes its time and fails."""

    name, remote = "registry", True

    def __init__(self, error=None, takes_s=0.0):
        self.error, self.takes_s, self.asked = error, takes_s, []

    async def fetch(self, reference, progress, terms=None):
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        return None


def test_a_missing_image_backs_off(machine):
    async def main():
        registry = Registry(takes_s=0.2)
        async with machine.daemon(registry):
            await machine.create("web", {"name": "web", "image": "nosuch:1"})
            words = []
            for wait_s in (1, 4, 600):
                await asyncio.sleep(wait_s)
                words.append((machine.pod().status["phase"], machine.state()))
            return words, registry.asked

    words, asked = run(main())
    assert words == [("Pending", "ErrImagePull"), ("Pending", "ImagePullBackOff"), ("Pending", "ImagePullBackOff")]
    assert [round(b - a) for a, b in pairwise(asked)] == [10, 20, 40, 80, 160]
    assert machine.said()[:3] == ["Pulling", "Failed", "BackOff"]
    assert "Error: ErrImagePull" in machine.messages("Failed")


def test_an_image_that_appears_is_taken_at_the_next_try(machine):
    async def main():
        async with machine.daemon(Registry()):
            await machine.create("web", {"name": "web", "image": "late:1"})
            await asyncio.sleep(5)
            await machine.has_image("late:1")
            await asyncio.sleep(10)
            return machine.state()

    assert run(main()) == "running"


@pytest.mark.parametrize(
    ("image", "policy", "word", "said"),
    [
        ("nosuch:1", "Never", "ErrImageNeverPull", "ErrImageNeverPull"),
        ("UPPER", "IfNotPresent", "InvalidImageName", "InspectFailed"),
    ],
)
def test_images_that_cannot_be(machine, image, policy, word, said):
    async def main():
        async with machine.daemon():
            await machine.create("web", {"name": "web", "image": image, "imagePullPolicy": policy})
            await asyncio.sleep(30)
            return machine.state(), machine.said()[0]

    assert run(main()) == (word, said)


def test_a_pull_holds_up_nobody(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon(Registry(Unavailable("slow"), takes_s=3600)):
            for number in range(20):
                await machine.create(f"slow-{number}", {"name": "web", "image": f"slow{number}:1"})
            await machine.create("quick")
            await machine.create("mixed", container("web"), {"name": "slow", "image": "slow:1"})
            await asyncio.sleep(1)
            assert (machine.state(name="quick"), machine.state(name="slow-7")) == ("running", "ContainerCreating")
            assert (machine.state(name="mixed"), machine.state("slow", "mixed")) == ("running", "ContainerCreating")
            await machine.pods.delete(Key("default", "slow-7"), Deletion(grace_s=30))
            await asyncio.sleep(1)
            assert machine.pod("slow-7") is None

    run(main())


# -- deleting ---------------------------------------------------------------------------------------------------------


def leftovers(machine):
    return {
        "containers": machine.records(),
        "sandboxes": machine.records(SANDBOX),
        "runtime": list(machine.runtime._containers),
        "plugs": list(machine.net.ports),
        "namespaces": list(machine.net.namespaces),
        "claims": [e.key.name for e in machine.store.entries("Claim.coracle") if not e.key.name.startswith("image")],
        "volumes": [path.name for path in (machine.root / "scratch").glob("*")],
    }


CLEAN = {name: [] for name in ("containers", "sandboxes", "runtime", "plugs", "namespaces", "claims", "volumes")}


@pytest.mark.parametrize(
    ("argv", "asked_s", "gone_after_s"),
    [
        pytest.param(["serve"], 30, 0.1, id="one that obeys is gone at once"),
        pytest.param(["stubborn", "serve"], 30, 31, id="one that does not is killed after the grace"),
        pytest.param(["stubborn", "serve"], 0, 3, id="by force it is gone from the API at once"),
        pytest.param(["missing"], 30, 0.1, id="one that never ran"),
    ],
)
def test_a_deleted_pod_leaves_nothing(machine, argv, asked_s, gone_after_s):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", *argv, volumeMounts=MOUNTED), volumes=[{"name": "scratch"}])
            await asyncio.sleep(5)
            await machine.pods.delete(WEB, Deletion(grace_s=asked_s))
            begun_s = asyncio.get_running_loop().time()
            assert (machine.pod() is None) == (asked_s == 0)
            while machine.pod() is not None or leftovers(machine) != CLEAN:
                await asyncio.sleep(0.05)
                assert asyncio.get_running_loop().time() - begun_s < gone_after_s + 0.5, leftovers(machine)
            return asyncio.get_running_loop().time() - begun_s

    took_s = run(main())
    assert took_s == pytest.approx(gone_after_s, abs=1.1)


def test_a_shorter_grace_counts(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", "stubborn", "serve"))
            await asyncio.sleep(5)
            await machine.pods.delete(WEB, Deletion(grace_s=600))
            await asyncio.sleep(5)
            assert machine.pod().meta.deleting
            await machine.pods.delete(WEB, Deletion(grace_s=5))
            await asyncio.sleep(8)
            assert machine.pod() is None
            assert machine.messages("Killing") == ["Stopping container web"]

    run(main())


def test_a_pod_held_by_a_finalizer_stays_without_its_containers(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create()
            await machine.pods.change(WEB, lambda pod: pod.with_meta(finalizers=("test/hold",)))
            await asyncio.sleep(1)
            await machine.pods.delete(WEB)
            await asyncio.sleep(5)
            assert (machine.pod().status["phase"], leftovers(machine)) == ("Failed", CLEAN)
            await machine.pods.change(WEB, lambda pod: pod.with_meta(finalizers=()))
            await asyncio.sleep(1)
            assert machine.pod() is None

    run(main())


def test_a_pod_of_the_same_name_is_another_pod(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create()
            await asyncio.sleep(1)
            await machine.pods.delete(WEB, Deletion(grace_s=0))
            second = await machine.create()
            await asyncio.sleep(5)
            (record,) = machine.records()
            return record.meta.labels["io.kubernetes.pod.uid"] == second.meta.uid, machine.state()

    assert run(main()) == (True, "running")


def test_deletion_waits_for_the_pre_stop_hook(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            hook = {"preStop": {"exec": {"command": ["sleep", "5"]}}}
            await machine.create("web", container("web", lifecycle=hook))
            await asyncio.sleep(1)
            await machine.pods.delete(WEB)
            await asyncio.sleep(4)
            before = machine.pod()
            await asyncio.sleep(2)
            return before is not None, machine.pod()

    assert run(main()) == (True, None)


# -- the daemon's death -----------------------------------------------------------------------------------------------


def test_a_new_daemon_adopts_what_runs(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("a"), container("b"))
            await asyncio.sleep(1)
        before = machine.pod()
        async with machine.daemon():
            await asyncio.sleep(60)
        return before, machine.pod()

    before, after = run(main())
    assert after == before  # not even the status was written


def test_what_ended_while_nobody_looked_is_told_truly_and_restarted(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", "sleep", "700"), restartPolicy="OnFailure")
            await machine.create("kept")
            await asyncio.sleep(1)
        first = {record.spec["name"].split("_")[2]: record.meta.name for record in machine.records()}
        await machine.runtime.kill(first["web"], 15)
        async with machine.daemon():
            await asyncio.sleep(5)
            return statuses(machine)["web"], statuses(machine, "kept")["web"]

    web, kept = run(main())
    assert web["lastState"]["terminated"]["exitCode"] == 143
    assert (web["restartCount"], kept["restartCount"]) == (1, 0)


def test_pods_removed_while_nobody_looked_are_cleaned_up(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", volumeMounts=MOUNTED), volumes=[{"name": "scratch"}])
            await asyncio.sleep(1)
        await machine.pods.delete(WEB, Deletion(grace_s=0))
        async with machine.daemon():
            await asyncio.sleep(5)
            return leftovers(machine)

    assert run(main()) == CLEAN


def test_an_ended_pod_whose_containers_went_before_it_leaves_nothing(machine):
    """As when room was wanted: no record leads to its files any more."""

    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon() as engine:
            await machine.create("web", container("web", "true"), restartPolicy="Never")
            await asyncio.sleep(5)
            assert machine.pod().status["phase"] == "Succeeded"
            for record in machine.records():
                await engine.containers.remove(record.meta.name, force=True)
            await asyncio.sleep(5)
            before = leftovers(machine)["volumes"]
            await machine.pods.delete(WEB, Deletion(grace_s=0))
            await asyncio.sleep(5)
            return before, leftovers(machine)

    before, after = run(main())
    assert [name.partition("-")[0] for name in before] == ["messages"]
    assert after == CLEAN


def test_volumes_of_pods_that_no_record_leads_to_are_dropped(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", volumeMounts=MOUNTED), volumes=[{"name": "scratch"}])
            await asyncio.sleep(1)
        for owner in ("pod-lost", "messages-lost", "docker-kept"):
            (machine.root / "scratch" / owner).mkdir()
        async with machine.daemon():
            await asyncio.sleep(1)
            return leftovers(machine)["volumes"]

    left = sorted(run(main()))
    uid = machine.pod().meta.uid
    assert left == ["docker-kept", f"messages-{uid}", f"pod-{uid}"]


def test_only_the_pod_that_ended_is_removed_not_its_namesake(machine):
    async def main():
        await machine.create(nodeName="other")
        clearer = Clearer(None, Nothing(), Nothing(), Nothing(), pods=machine.pods, chores=None)
        await clearer.finish(machine.pod().with_meta(uid="another"), Present())
        assert machine.pod() is not None
        await clearer.finish(machine.pod(), Present())
        assert machine.pod() is None

    run(main())


class Nothing:
    """Sandboxes and volumes of pods that have none."""

    async def remove(self, name): ...

    async def drop(self, owner): ...


def test_a_deletion_goes_on_under_the_next_daemon(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", "stubborn", "serve"))
            await asyncio.sleep(1)
            await machine.pods.delete(WEB)
            await asyncio.sleep(10)
        async with machine.daemon():
            await asyncio.sleep(15)
            assert machine.pod() is not None
            await asyncio.sleep(10)
            return machine.pod(), leftovers(machine)

    assert run(main()) == (None, CLEAN)


def test_after_a_reboot_the_pods_run_again(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create()
            await asyncio.sleep(1)
        machine.net.namespaces.clear()
        machine.net.ports.clear()
        for record in machine.records():
            machine.runtime.lose_monitor(record.meta.name)
        async with machine.daemon():
            await asyncio.sleep(30)
            assert (machine.state(), list(machine.net.ports) != []) == ("running", True)

    run(main())


def test_after_a_reboot_init_containers_run_again(machine):
    """What they had set up in the pod's network is gone."""

    async def main():
        await machine.has_image("nginx:1")
        inits = [container("first", "true"), container("beside", restartPolicy="Always")]
        async with machine.daemon():
            await machine.create("web", initContainers=inits)
            await asyncio.sleep(1)
        for reboot in (1, 2):
            machine.net.namespaces.clear()
            machine.net.ports.clear()
            for record in machine.records():
                if record.status["state"] == "running":
                    machine.runtime.lose_monitor(record.meta.name)
            async with machine.daemon():
                await asyncio.sleep(30)
                found = machine.pod().status
                counts = {one["name"]: one["restartCount"] for one in found["initContainerStatuses"]}
                assert (machine.state(), counts) == ("running", {"first": reboot, "beside": reboot})
        async with machine.daemon():
            await asyncio.sleep(30)
            return {one["name"]: one["restartCount"] for one in machine.pod().status["initContainerStatuses"]}

    assert run(main()) == {"first": 2, "beside": 2}
    assert machine.messages("SandboxChanged") == ["Pod sandbox changed, it will be killed and re-created."] * 2


# -- configuration ----------------------------------------------------------------------------------------------------


def test_missing_configuration_is_waited_for(machine):
    async def main():
        await machine.has_image("nginx:1")
        variable = {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}}
        async with machine.daemon():
            await machine.create("web", container("web", env=[variable]))
            await asyncio.sleep(1)
            waiting = statuses(machine)["web"]["state"]["waiting"]
            await machine.collection("ConfigMap").create(
                Object("ConfigMap", Meta(name="settings", namespace="default"), {"data": {"mode": "fast"}})
            )
            await asyncio.sleep(12)
            (record,) = machine.records()
            return waiting, "MODE=fast" in record.spec["env"], machine.state()

    waiting, there, state = run(main())
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
    assert (there, state) == (True, "running")


def test_a_volume_that_cannot_be_is_said(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            volume = {"name": "scratch", "hostPath": {"path": "/nonexistent/there", "type": "Directory"}}
            await machine.create("web", container("web", volumeMounts=MOUNTED), volumes=[volume])
            await asyncio.sleep(30)
            return machine.state(), machine.messages("FailedMount")[0]

    state, said = run(main())
    assert state == "ContainerCreating"
    assert said.startswith('MountVolume.SetUp failed for volume "scratch" : hostPath type check failed')


def test_a_volume_that_no_container_uses_is_not_set_up_until_one_comes_that_does(machine):
    async def main():
        await machine.has_image("nginx:1")
        lost = {"name": "lost", "secret": {"secretName": "nobody"}}
        async with machine.daemon():
            await machine.create("web", volumes=[{"name": "scratch"}, lost])
            await asyncio.sleep(1)
            before = leftovers(machine)["volumes"]
            late = {**container("late", volumeMounts=MOUNTED), "terminationMessagePolicy": "File"}
            await machine.pods.change(WEB, lambda pod: pod.with_spec(ephemeralContainers=[late]), "ephemeralcontainers")
            await asyncio.sleep(1)
            (bundle,) = (
                machine.runtime.bundle(one.meta.name) for one in machine.records() if "late" in one.spec["name"]
            )
            return machine.state(), before, [mount.target for mount in bundle.mounts]

    state, before, targets = run(main())
    assert (state, [name for name in before if name.startswith("pod-")]) == ("running", [])
    assert "/scratch" in targets


def test_volumes_are_shared_by_the_containers_of_a_pod(machine):
    async def main():
        await machine.has_image("nginx:1")
        mount = [{"name": "data", "mountPath": "/data"}]
        async with machine.daemon():
            both = (container("a", volumeMounts=mount), container("b", volumeMounts=mount))
            await machine.create("web", *both, volumes=[{"name": "data", "emptyDir": {}}])
            await asyncio.sleep(1)
            bundles = [machine.runtime.bundle(record.meta.name) for record in machine.records()]
            return {mount.source for bundle in bundles for mount in bundle.mounts if mount.target == "/data"}

    assert len(run(main())) == 1


# -- probes -----------------------------------------------------------------------------------------------------------


def probe(*argv, **more):
    return {"exec": {"command": list(argv)}, **more}


@pytest.mark.parametrize(
    ("probes", "ready", "restarts"),
    [
        pytest.param({"readinessProbe": probe("true")}, True, 0, id="ready"),
        pytest.param({"readinessProbe": probe("false")}, False, 0, id="not ready"),
        pytest.param({"readinessProbe": probe("sleep", "5")}, False, 0, id="too slow to be ready"),
        pytest.param({"livenessProbe": probe("true")}, True, 0, id="alive"),
        pytest.param(
            {"livenessProbe": probe("false", periodSeconds=1)}, False, 1, id="not alive: ended, with back-off"
        ),
        pytest.param({"startupProbe": probe("true"), "readinessProbe": probe("true")}, True, 0, id="started and ready"),
        pytest.param({"startupProbe": probe("false", failureThreshold=10)}, False, 0, id="still starting"),
        pytest.param({"startupProbe": probe("false", periodSeconds=1)}, False, 1, id="did not start in time"),
        pytest.param({"readinessProbe": probe("true", initialDelaySeconds=60)}, False, 0, id="not looked at yet"),
    ],
)
def test_probes(machine, probes, ready, restarts):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", **probes))
            await asyncio.sleep(13)
            web = statuses(machine)["web"]
            return web["ready"], web["restartCount"]

    assert run(main()) == (ready, restarts)


def test_a_pod_becomes_unready_and_ready_again(machine, tmp_path):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            await machine.create("web", container("web", readinessProbe=probe("true", periodSeconds=5)))
            await asyncio.sleep(1)
            seen = [statuses(machine)["web"]["ready"]]
            machine.runtime.failures["exec"] = [ActionFailed("no") for _ in range(3)]
            await asyncio.sleep(17)
            seen.append(statuses(machine)["web"]["ready"])
            await asyncio.sleep(5)
            seen.append(statuses(machine)["web"]["ready"])
            return seen

    assert run(main()) == [True, False, True]
    assert any("Readiness probe failed" in said for said in machine.messages("Unhealthy"))
