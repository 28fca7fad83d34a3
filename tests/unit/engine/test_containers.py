import asyncio
import contextlib
import json
import signal

import orjson
import pytest

from coracle.core import claims
from coracle.core.errors import AlreadyExists, Broken, Conflict, Invalid, Malformed, NotFound, Timeout, Unavailable
from coracle.core.store import MemoryStore
from coracle.core.tasks import running
from coracle.engine import inits
from coracle.engine.containers import ContainerSpec, Security, combine
from coracle.engine.kinds import container as containers
from coracle.engine.kinds.sandbox import Endpoint, SandboxSpec
from coracle.runtime.api import Device, Exit, Mount, Resources
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine


def with_engine(main, tmp_path, store=None):
    """Run main(engine) while the engine is at work, on virtual time."""

    async def whole():
        engine = FakeEngine(tmp_path, store=store)
        async with engine.running():
            return await main(engine)

    return run(whole())


def state(engine, record):
    found = engine.containers.find(record.meta.name)
    return found.status["state"] if found else None


async def settle():
    """Let everything happen that does not need time."""
    for _ in range(5):
        await asyncio.sleep(1e-9)  # virtual time stands still while threads work


# -- life ----------------------------------------------------------------------------------------------------------


def test_a_program_runs_ends_and_says_how(tmp_path):
    async def main(engine):
        record = await engine.run_container("sleep", "5")
        status = record.status
        assert (status["state"], status["pid"] > 0, status["finished_at"]) == ("running", True, "")
        ended = await engine.containers.wait_exit(record.meta.name)
        assert (ended.status["state"], ended.status["exit_code"], ended.status["pid"]) == ("exited", 0, 0)
        assert ended.status["started_at"] == status["started_at"] < ended.status["finished_at"]
        assert engine.store.find(containers.TYPE, record.key).object() == ended

    with_engine(main, tmp_path)


def test_a_life_takes_four_commits(tmp_path):
    async def main(engine):
        with contextlib.closing(engine.store.watch(containers.TYPE, engine.store.revision)) as watch:
            record = await engine.run_container("true")
            await engine.containers.wait_exit(record.meta.name)
            await engine.containers.remove(record.meta.name)
            return [event.type for _ in range(4) for event in (await anext(watch)).events]

    created, running, exited, gone = "ADDED", "MODIFIED", "MODIFIED", "DELETED"
    assert with_engine(main, tmp_path) == [created, running, exited, gone]


@pytest.mark.parametrize(
    ("argv", "code", "reason", "oom"),
    [
        pytest.param(("false",), 1, "", False, id="an exit code"),
        pytest.param(("oom",), 137, "OOMKilled", True, id="out of memory"),
    ],
)
def test_the_end_is_told_as_it_was(tmp_path, argv, code, reason, oom):
    async def main(engine):
        record = await engine.run_container(*argv)
        status = (await engine.containers.wait_exit(record.meta.name)).status
        assert (status["exit_code"], status["reason"], status["oom_killed"]) == (code, reason, oom)

    with_engine(main, tmp_path)


def test_what_has_ended_holds_nothing_in_the_kernel_and_can_start_again(tmp_path):
    async def main(engine):
        record = await engine.run_container("true")
        await engine.containers.wait_exit(record.meta.name)
        await settle()
        assert await engine.runtime.states() == []
        again = await engine.containers.start(record.meta.name)
        assert again.status["state"] == "running"
        assert (await engine.containers.wait_exit(record.meta.name)).status["exit_code"] == 0

    with_engine(main, tmp_path)


def test_starting_twice_starts_once(tmp_path):
    async def main(engine):
        record = await engine.create_container("sleep", "9")
        await asyncio.gather(*(engine.containers.start(record.meta.name) for _ in range(3)))
        return [call for call in engine.runtime.calls if call[0] == "start"]

    assert len(with_engine(main, tmp_path)) == 1


def test_stopping_sends_the_stop_signal_and_returns_with_the_end(tmp_path):
    async def main(engine):
        record = await engine.run_container("server")
        began_s = engine.clock.now_s()
        ended = await engine.containers.stop(record.meta.name, 30)
        assert (ended.status["exit_code"], engine.clock.now_s() - began_s) == (143, 0)

    with_engine(main, tmp_path)


def test_who_does_not_listen_is_killed_after_its_grace_and_holds_up_nobody(tmp_path):
    async def main(engine):
        deaf = await engine.run_container("stubborn", "server", name="deaf")
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(engine.containers.stop(deaf.meta.name, 30))
            await settle()
            began_s = engine.clock.now_s()
            other = await engine.run_container("true", name="other")
            await engine.containers.wait_exit(other.meta.name)
            assert (engine.clock.now_s() - began_s, state(engine, deaf)) == (0, "running")
        assert stopping.result().status["exit_code"] == 137
        assert engine.clock.now_s() - began_s == 30

    with_engine(main, tmp_path)


def test_no_grace_is_a_kill(tmp_path):
    async def main(engine):
        record = await engine.run_container("server")
        return (await engine.containers.stop(record.meta.name, 0)).status["exit_code"]

    assert with_engine(main, tmp_path) == 137


def test_a_kill_during_a_stop_ends_the_wait(tmp_path):
    async def main(engine):
        record = await engine.run_container("stubborn", "server")
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(engine.containers.stop(record.meta.name, 30))
            await settle()
            await engine.containers.kill(record.meta.name, "KILL")
        assert stopping.result().status["exit_code"] == 137
        assert engine.clock.now_s() == 1_700_000_000.0

    with_engine(main, tmp_path)


def test_a_process_that_even_survives_a_kill_is_a_timeout(tmp_path):
    async def main(engine):
        record = await engine.run_container("server")

        async def nothing(*_, **__):
            pass

        engine.runtime.kill = nothing
        with pytest.raises(Timeout):
            await engine.containers.stop(record.meta.name, 1)
        del engine.runtime.kill

    with_engine(main, tmp_path)


def test_the_images_stop_signal_counts_and_the_callers_counts_more(tmp_path):
    async def main(engine):
        codes = []
        for given in (None, "SIGINT", 1):
            record = await engine.create_container(stop_signal="SIGQUIT", name=f"c{given}")
            await engine.containers.start(record.meta.name)
            codes.append((await engine.containers.stop(record.meta.name, 9, given)).status["exit_code"])
        return codes

    assert with_engine(main, tmp_path) == [128 + signal.SIGQUIT, 128 + signal.SIGINT, 128 + signal.SIGHUP]


def test_killing_what_does_not_run_is_a_conflict_and_bad_signals_are_malformed(tmp_path):
    async def main(engine):
        record = await engine.create_container()
        with pytest.raises(Conflict):
            await engine.containers.kill(record.meta.name, 9)
        with pytest.raises(Malformed):
            await engine.containers.kill(record.meta.name, "SIGNOTHING")
        with pytest.raises(NotFound):
            await engine.containers.kill("nobody", 9)

    with_engine(main, tmp_path)


def test_removing_leaves_nothing(tmp_path):
    async def main(engine):
        record = await engine.run_container("echo", "hello")
        await engine.containers.wait_exit(record.meta.name)
        await engine.containers.remove(record.meta.name)
        await engine.containers.remove(record.meta.name)
        assert (state(engine, record), engine.snapshotter.list()) == (None, ())
        assert not (tmp_path / "state/containers" / record.meta.name).exists()
        await engine.create_container(name="web")  # the name is free again

    with_engine(main, tmp_path)


def test_what_runs_is_removed_only_by_force_and_then_with_its_true_end(tmp_path):
    async def main(engine):
        record = await engine.run_container("server")
        with pytest.raises(Conflict):
            await engine.containers.remove(record.meta.name)
        waiting = engine.containers.ending(record.meta.name)
        await engine.containers.remove(record.meta.name, force=True)
        assert (state(engine, record), (await waiting).status["exit_code"]) == (None, 137)

    with_engine(main, tmp_path)


def test_who_waits_for_a_container_that_is_removed_unstarted_hears_that_it_is_gone(tmp_path):
    async def main(engine):
        record = await engine.create_container()
        waiting = engine.containers.ending(record.meta.name)
        await engine.containers.remove(record.meta.name)
        with pytest.raises(NotFound):
            await waiting

    with_engine(main, tmp_path)


def test_one_waiter_who_gives_up_takes_nothing_from_the_other(tmp_path):
    async def main(engine):
        record = await engine.run_container("sleep", "5")
        async with asyncio.TaskGroup() as group:
            kept = group.create_task(engine.containers.wait_exit(record.meta.name))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await engine.containers.wait_exit(record.meta.name)
        assert kept.result().status["exit_code"] == 0
        assert len(engine.containers._endings) == 0

    with_engine(main, tmp_path)


# -- refusals ------------------------------------------------------------------------------------------------------


def test_a_name_means_one_container(tmp_path):
    async def main(engine):
        first = await engine.create_container(name="web")
        with pytest.raises(AlreadyExists) as taken:
            await engine.create_container(name="web")
        assert first.meta.name in taken.value.holder
        assert engine.containers.find_named("web").meta == first.meta
        assert engine.containers.find_named("other") is None

    with_engine(main, tmp_path)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"image": "nothing"}, NotFound, id="an image that is not there"),
        pytest.param({"image": "Bad Name"}, Malformed, id="no image's name"),
        pytest.param({"stop_signal": "SIGX"}, Malformed, id="no signal"),
        pytest.param({"security": Security(add=("FLY",))}, Invalid, id="no capability"),
    ],
)
def test_bad_wishes_are_refused_before_anything_is_recorded(tmp_path, change, error):
    async def main(engine):
        with pytest.raises(error):
            await engine.create_container(**change)
        assert engine.containers.list() == []

    with_engine(main, tmp_path)


def test_a_container_needs_a_sandbox(tmp_path):
    async def main(engine):
        await engine.images.ensure("busybox")
        with pytest.raises(NotFound):
            await engine.containers.create(ContainerSpec(name="web", sandbox="nowhere", image="busybox"))

    with_engine(main, tmp_path)


def test_a_program_that_cannot_be_run_leaves_a_failed_record_and_nothing_else(tmp_path):
    async def main(engine):
        record = await engine.create_container("missing")
        with pytest.raises(Invalid, match="not found"):
            await engine.containers.start(record.meta.name)
        status = engine.containers.get(record.meta.name).status
        assert (status["state"], status["reason"], status["exit_code"]) == ("failed", "ContainerCannotRun", 127)
        assert "not found" in status["message"]
        assert await engine.runtime.states() == []
        assert (await engine.containers.wait_exit(record.meta.name)).status["state"] == "failed"

    with_engine(main, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"user": "nobody-here"}, "unable to find user nobody-here", id="no such user"),
        pytest.param({"user": "4294967296"}, "out of range", id="a user that wraps around to root"),
        pytest.param({"workdir": "/proc/self/fd/7"}, "below /proc", id="a working directory that leads out"),
    ],
)
def test_what_cannot_be_prepared_fails_before_the_runtime_hears_of_it(tmp_path, change, said):
    async def main(engine):
        record = await engine.create_container(**change)
        with pytest.raises(Invalid, match=said):
            await engine.containers.start(record.meta.name)
        assert engine.containers.get(record.meta.name).status["reason"] == "CreateContainerError"
        assert "create" not in {operation for operation, _ in engine.runtime.calls}

    with_engine(main, tmp_path)


def test_a_start_that_fails_half_way_is_undone(tmp_path):
    async def main(engine):
        record = await engine.create_container("server")
        engine.runtime.failures["start"] = [Broken("no more")]
        with pytest.raises(Broken):
            await engine.containers.start(record.meta.name)
        assert (await engine.runtime.states(), state(engine, record)) == ([], "failed")
        assert (await engine.containers.start(record.meta.name)).status["state"] == "running"

    with_engine(main, tmp_path)


def test_a_cancelled_start_is_undone_and_may_be_repeated(tmp_path):
    async def main(engine):
        record = await engine.create_container("server")
        begun = asyncio.Event()

        async def hang(id):
            begun.set()
            await asyncio.get_running_loop().create_future()

        engine.runtime.start = hang
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(engine.containers.start(record.meta.name))
            await begun.wait()
            starting.cancel()
        del engine.runtime.start
        assert (await engine.runtime.states(), state(engine, record)) == ([], "created")
        await engine.containers.start(record.meta.name)

    with_engine(main, tmp_path)


# -- what the runtime is told ----------------------------------------------------------------------------------------


def test_the_runtime_is_told_numbers_files_and_the_images_settings(tmp_path):
    async def main(engine):
        record = await engine.create_container(
            "server", "-v",
            env=("A=1", "PATH=/x"), user="web", groups=("video", "7"), workdir="/srv/data",
            mounts=(Mount(target="/data", source="/tmp"), Mount(target="/etc/hosts/", source="/tmp/h")),
            devices=(Device(path="/dev/null", source="/dev/null"),),
            resources=Resources(memory_bytes=1 << 20, pids=7), rlimits={"nofile": (10, 20)},
            security=Security(drop=("ALL",), add=("NET_ADMIN",), no_new_privileges=True, read_only_root=True),
            owner="Pod default/mypod",
        )  # fmt: skip
        await engine.containers.start(record.meta.name)
        told = engine.runtime.bundle(record.meta.name)
        process = told.process
        assert process.argv == ("server", "-v")
        assert (process.uid, process.gid, process.groups, process.cwd) == (33, 34, (34, 44, 7), "/srv/data")
        assert set(process.env) == {"PATH=/x", "HOSTNAME=mypod", "HOME=/srv", "A=1"}
        assert (process.capabilities, process.no_new_privileges) == (("CAP_NET_ADMIN",), True)
        assert (told.resources, process.rlimits) == (Resources(memory_bytes=1 << 20, pids=7), {"nofile": (10, 20)})
        assert (told.hostname, told.read_only_root) == ("mypod", True)
        assert told.netns_path == engine.sandboxes.find("pod-1").status["netns_path"]
        targets = {mount.target: mount.source for mount in told.mounts}
        assert targets["/etc/hosts/"] == "/tmp/h"
        assert "/etc/hosts" not in targets
        assert targets["/etc/resolv.conf"] == engine.sandboxes.files_path("pod-1") + "/resolv.conf"
        assert told.log_path == engine.containers.log_path(record.meta.name)
        assert (tmp_path / "snapshots/containers" / record.meta.name / "rootfs/srv/data").is_dir()

    with_engine(main, tmp_path)


def test_a_record_gives_back_the_spec_it_was_made_from(tmp_path):
    async def main(engine):
        record = await engine.create_container(
            "server",
            mounts=(Mount(target="/data", source="/tmp", read_only=True),),
            security=Security(masked_paths=(), add=("KILL",)),
            rlimits={"nofile": (10, 20)},
            labels={"any label": "any text, of any length" * 10},
        )
        spec = containers.from_record(engine.containers.get(record.meta.name))
        assert containers.to_record("x", spec, "sha256:1").spec == containers.to_record("x", spec, "sha256:1").spec
        assert spec.mounts[0] == Mount(target="/data", source="/tmp", read_only=True)
        assert spec.security == Security(masked_paths=(), add=("KILL",))
        assert (spec.rlimits, spec.argv) == ({"nofile": (10, 20)}, ("server",))
        assert spec.labels["any label"].startswith("any text")

    with_engine(main, tmp_path)


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        pytest.param(None, None, ("/ep", "foo", "bar"), id="the image's own"),
        pytest.param(("/x",), None, ("/x",), id="a command drops the image's cmd"),
        pytest.param(None, ("zoo",), ("/ep", "zoo"), id="args replace the cmd"),
        pytest.param(("/x",), ("zoo",), ("/x", "zoo"), id="both replace both"),
        pytest.param((), (), ("/ep", "foo", "bar"), id="empty is unset"),
    ],
)
def test_command_and_args_combine_as_kubernetes_documents(command, args, expected):
    assert combine({"entrypoint": ["/ep"], "cmd": ["foo", "bar"]}, command, args) == expected


def test_an_image_without_a_program_needs_one():
    with pytest.raises(Invalid):
        combine({}, None, None)


def test_a_shared_pid_namespace_is_that_of_the_first_container(tmp_path):
    async def main(engine):
        first = await engine.run_container("server", name="a")
        record = await engine.create_container("server", name="b", pid_mode=f"container:{first.meta.name}")
        await engine.containers.start(record.meta.name)
        assert engine.runtime.bundle(record.meta.name).pidns_path == f"/proc/{first.status['pid']}/ns/pid"

    with_engine(main, tmp_path)


def test_limits_change_while_it_runs(tmp_path):
    async def main(engine):
        record = await engine.run_container("server")
        await engine.containers.update(record.meta.name, Resources(pids=5))
        assert ("update", record.meta.name) in engine.runtime.calls
        assert containers.from_record(engine.containers.get(record.meta.name)).resources == Resources(pids=5)

    with_engine(main, tmp_path)


# -- the daemon dies -------------------------------------------------------------------------------------------------


def restarted(first, then, tmp_path):
    """first(engine) with one daemon, then(heir) with the next on the same store, runtime, network and files."""

    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            kept = await first(engine)
        heir = FakeEngine(tmp_path, before=engine)
        async with heir.running():
            await then(heir, kept)

    run(whole())


def test_a_running_container_goes_on_under_the_next_daemon(tmp_path):
    async def first(engine):
        return await engine.run_container("sleep", "60")

    async def then(heir, record):
        assert heir.containers.get(record.meta.name) == record
        assert (await heir.containers.wait_exit(record.meta.name)).status["exit_code"] == 0
        assert heir.clock.now_s() == pytest.approx(1_700_000_060)

    restarted(first, then, tmp_path)


def test_the_exit_code_of_one_that_ended_meanwhile_is_true(tmp_path):
    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            record = await engine.run_container("server")
        await engine.runtime.kill(record.meta.name, signal.SIGINT)
        heir = FakeEngine(tmp_path, before=engine)
        async with heir.running():
            status = (await heir.containers.wait_exit(record.meta.name)).status
            assert (status["exit_code"], status["started_at"]) == (130, record.status["started_at"])

    run(whole())


def test_one_that_the_runtime_has_lost_is_said_to_have_ended(tmp_path):
    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            record = await engine.run_container("server")
        await engine.runtime.delete(record.meta.name)  # a reboot
        heir = FakeEngine(tmp_path, before=engine)
        async with heir.running():
            status = heir.containers.get(record.meta.name).status
            assert (status["state"], status["exit_code"]) == ("exited", 137)
            assert status["reason"] == "ContainerStatusUnknown"

    run(whole())


class Killed(BaseException):
    """The daemon is killed at this moment: what it was doing is neither finished nor undone."""


def killed_at_start(engine, before, operation):
    """Let the daemon die in `start`, before or after the runtime's `operation`; its undo does not happen either."""
    original = getattr(engine.runtime, operation)

    async def die(*arguments):
        if not before:
            await original(*arguments)
        raise Killed

    async def nothing(*_):
        return None

    engine.containers._keeping.let_go = nothing
    setattr(engine.runtime, operation, die)


@pytest.mark.parametrize("operation", ["create", "start"])
@pytest.mark.parametrize("before", [True, False])
def test_a_daemon_killed_during_a_start_leaves_nothing_half_made(tmp_path, operation, before):
    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            record = await engine.create_container("server")
            killed_at_start(engine, before, operation)
            with contextlib.suppress(Killed):
                await engine.containers.start(record.meta.name)
            delattr(engine.runtime, operation)
        heir = FakeEngine(tmp_path, before=engine)
        async with heir.running():
            runs = operation == "start" and not before
            assert state(heir, record) == ("running" if runs else "created")
            assert [s.state for s in await heir.runtime.states()] == (["running"] if runs else [])
            await heir.containers.start(record.meta.name)
            assert (await heir.containers.stop(record.meta.name, 5)).status["exit_code"] == 143

    run(whole())


def test_one_that_started_and_ended_while_nobody_could_say_so_has_ended(tmp_path):
    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            record = await engine.create_container("server")
            killed_at_start(engine, False, "start")
            with contextlib.suppress(Killed):
                await engine.containers.start(record.meta.name)
            del engine.runtime.start
        await engine.runtime.kill(record.meta.name, signal.SIGTERM)
        heir = FakeEngine(tmp_path, before=engine)
        async with heir.running():
            status = (await heir.containers.wait_exit(record.meta.name)).status
            assert (status["state"], status["exit_code"], bool(status["started_at"])) == ("exited", 143, True)

    run(whole())


def test_a_container_without_a_record_is_removed(tmp_path):
    async def first(engine):
        record = await engine.run_container("server")
        await engine.store.commit(*(c for c in _forget(engine, record)))

    async def then(heir, _):
        assert await heir.runtime.states() == []

    restarted(first, then, tmp_path)


def _forget(engine, record):
    from coracle.core.store import Delete

    yield Delete(containers.TYPE, record.key)
    yield from (Delete(claims.TYPE, e.key) for e in engine.store.entries(claims.TYPE) if "container" in e.key.name)


def test_an_old_exit_told_again_does_not_end_the_new_run(tmp_path):
    async def main(engine):
        record = await engine.run_container("sleep", "5")
        await engine.containers.wait_exit(record.meta.name)
        await asyncio.sleep(10)
        await engine.containers.start(record.meta.name)
        await engine.containers._keeping.end(Exit(record.meta.name, 7, engine.clock.now_s() - 10))
        assert state(engine, record) == "running"

    with_engine(main, tmp_path)


def test_an_exit_is_kept_once_the_disk_has_room_again(tmp_path):
    class FullStore(MemoryStore):
        full = 0

        async def commit(self, *changes):
            if self.full:
                self.full -= 1
                raise Unavailable("no room")
            return await super().commit(*changes)

    async def main(engine):
        record = await engine.run_container("sleep", "5")
        engine.store.full = 3
        assert (await engine.containers.wait_exit(record.meta.name)).status["exit_code"] == 0
        assert engine.clock.now_s() == pytest.approx(1_700_000_008)

    with_engine(main, tmp_path, FullStore())


def test_a_lost_monitor_is_said(tmp_path):
    async def main(engine):
        record = await engine.run_container("server")
        engine.runtime.lose_monitor(record.meta.name)
        status = (await engine.containers.wait_exit(record.meta.name)).status
        assert (status["exit_code"], status["reason"]) == (255, "ContainerStatusUnknown")

    with_engine(main, tmp_path)


def test_fifty_at_once(tmp_path):
    async def main(engine):
        records = await asyncio.gather(
            *(engine.run_container("sleep", "3", name=f"c{i}", sandbox=f"pod-{i}") for i in range(50))
        )
        ended = await asyncio.gather(*(engine.containers.wait_exit(r.meta.name) for r in records))
        assert {r.status["exit_code"] for r in ended} == {0}
        assert len({engine.sandboxes.find(f"pod-{i}").status["address"] for i in range(50)}) == 50
        await settle()
        assert len(engine.containers._locks) == 0

    with_engine(main, tmp_path)


def test_the_engine_is_a_part(tmp_path):
    async def main():
        engine = FakeEngine(tmp_path)
        async with running(engine.containers):
            assert engine.net.networks.keys() == {"pods"}

    run(main())


# -- names, notes, pauses ------------------------------------------------------------------------------------------


def test_a_container_is_renamed_and_its_old_name_is_free(tmp_path):
    async def main(engine):
        record = await engine.create_container("true", name="old")
        other = await engine.create_container("true", name="other")
        await engine.containers.rename(record.meta.name, "new")
        assert engine.containers.find_named("new").meta.name == record.meta.name
        assert engine.containers.find_named("old") is None
        with pytest.raises(AlreadyExists) as caught:
            await engine.containers.rename(other.meta.name, "new")
        assert caught.value.holder == f"Container {record.meta.name}"
        await engine.create_container("true", name="old")

    with_engine(main, tmp_path)


def test_what_an_api_notes_is_kept_and_nothing_is_written_twice(tmp_path):
    async def main(engine):
        id = (await engine.create_container("true", details={"Config": {"A": [1]}})).meta.name
        containers = engine.containers

        def count(details):
            details.setdefault("Health", {"Log": []})["Log"].append(1)
            return details

        await containers.note(id, count)
        await containers.note(id, count)
        assert containers.get(id).status["details"] == {"Health": {"Log": [1, 1]}}
        await containers.respec(id, lambda details: {**details, "Name": "x"})
        assert containers.get(id).spec["details"] == {"Config": {"A": [1]}, "Name": "x"}
        before = engine.store.revision
        await containers.note(id, lambda details: details)
        await containers.respec(id, dict)
        assert engine.store.revision == before
        with pytest.raises(NotFound):
            await containers.note("gone", count)

    with_engine(main, tmp_path)


def test_a_pause_is_recorded_once_and_ends(tmp_path):
    async def main(engine):
        id = (await engine.run_container("sleep", "infinity")).meta.name
        assert (await engine.containers.pause(id)).status["paused"] is True
        with pytest.raises(Conflict, match="already paused"):
            await engine.containers.pause(id)
        with pytest.raises(Conflict, match="paused, unpause the container before exec"):
            await engine.execs.start(id, ["true"])
        assert (await engine.containers.resume(id)).status["paused"] is False
        with pytest.raises(Conflict, match="not paused"):
            await engine.containers.resume(id)

    with_engine(main, tmp_path)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda c, i: c.stop(i, 10), id="stopped"),
        pytest.param(lambda c, i: c.stop(i, 0), id="stopped at once"),
        pytest.param(lambda c, i: c.kill(i, "KILL"), id="killed"),
        pytest.param(lambda c, i: c.remove(i, force=True), id="removed"),
    ],
)
def test_who_is_paused_can_be_ended(tmp_path, end):
    async def main(engine):
        id = (await engine.run_container("server")).meta.name
        await engine.containers.pause(id)
        async with asyncio.timeout(5):
            await end(engine.containers, id)
            with contextlib.suppress(NotFound):
                assert (await engine.containers.wait_exit(id)).status["paused"] is False

    with_engine(main, tmp_path)


def test_a_signal_that_does_not_end_it_leaves_it_paused(tmp_path):
    async def main(engine):
        id = (await engine.run_container("server")).meta.name
        await engine.containers.pause(id)
        await engine.containers.kill(id, "USR1")
        assert engine.containers.get(id).status["paused"] is True

    with_engine(main, tmp_path)


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "not yet recorded"])
def test_a_pause_outlives_the_daemon(tmp_path, recorded):
    async def main():
        first = FakeEngine(tmp_path)
        async with first.running():
            id = (await first.run_container("server")).meta.name
            await (first.containers.pause(id) if recorded else first.runtime.pause(id))
        second = FakeEngine(tmp_path, before=first)
        async with second.running():
            assert second.containers.get(id).status["paused"] is True
            await second.containers.stop(id, 5)

    run(main())


def test_use_is_told_of_what_runs(tmp_path):
    async def main(engine):
        id = (await engine.run_container("server")).meta.name
        assert engine.containers.usage(id).pids == len(engine.containers.processes(id)) == 1
        await engine.containers.stop(id, 0)
        for ask in (engine.containers.usage, engine.containers.processes):
            with pytest.raises(Conflict):
                ask(id)

    with_engine(main, tmp_path)


def test_a_container_without_a_sandbox_has_one_of_its_own_at_start(tmp_path):
    async def main(engine):
        await engine.images.ensure("busybox")
        record = await engine.containers.create(ContainerSpec(name="x", image="busybox", argv=("server",)))
        assert record.spec["sandbox"] == record.meta.name
        with pytest.raises(Conflict, match="not ready"):
            await engine.containers.start(record.meta.name)
        await engine.sandboxes.ensure(SandboxSpec(name=record.meta.name, endpoints=(Endpoint(network="pods"),)))
        assert (await engine.containers.start(record.meta.name)).status["state"] == "running"
        with pytest.raises(NotFound):
            await engine.containers.create(ContainerSpec(name="y", sandbox="nowhere", image="busybox"))

    with_engine(main, tmp_path)


def test_a_container_without_a_log_keeps_none(tmp_path):
    async def main(engine):
        record = await engine.create_container("echo", "hello", keeps_log=False)
        await engine.containers.start(record.meta.name)
        assert engine.runtime.bundle(record.meta.name).log_path == ""
        ended = await engine.containers.wait_exit(record.meta.name)
        assert ended.status["log_path"] == ""

    with_engine(main, tmp_path)


# -- the record ----------------------------------------------------------------------------------------------------


def test_a_spec_comes_back_from_its_record_as_it_was():
    spec = ContainerSpec(
        name="x",
        image="busybox",
        sandbox="s",
        argv=("a", "b"),
        env=("A=1",),
        groups=("video",),
        mounts=(Mount(target="/a", source="/b", options=("bind", "rro")),),
        resources=Resources(memory_bytes=7, blkio_read_bps=(("/dev/sda", 1), ("/dev/sdb", 2))),
        security=Security(add=("KILL",), masked_paths=(), seccomp="{}"),
        labels={"a": "b"},
        devices=(Device(path="/dev/x", source="/dev/y"),),
        rlimits={"nofile": (1, 2)},
        tty=True,
        tty_size=(80, 24),
        device_rules=("c 1:1 r",),
        cgroup_mode="private",
        shm_bytes=5,
        log_files=3,
        details={"Config": {"A": None}},
    )
    record = containers.to_record("1" * 64, spec, "sha256:x")
    assert containers.from_record(type(record).from_json(json.loads(orjson.dumps(record.to_json())))) == spec


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"security": Security(add=("FLY",))}, Invalid, id="a capability"),
        pytest.param({"security": Security(seccomp='{"defaultAction": 1}')}, Invalid, id="a profile"),
        pytest.param({"stop_signal": "SIGNOT"}, Malformed, id="a signal"),
    ],
)
def test_what_can_be_known_to_fail_is_refused_at_once(tmp_path, fields, error):
    async def main(engine):
        with pytest.raises(error):
            await engine.create_container("true", **fields)
        assert engine.containers.list() == []

    with_engine(main, tmp_path)


def test_an_init_is_the_first_process(tmp_path, monkeypatch):
    monkeypatch.setattr(inits, "find_init", lambda: "/usr/bin/tini-static")

    async def main(engine):
        record = await engine.create_container("sleep", "5", init=True)
        await engine.containers.start(record.meta.name)
        bundle = engine.runtime.bundle(record.meta.name)
        assert bundle.process.argv == ("/sbin/docker-init", "--", "sleep", "5")
        assert ("/usr/bin/tini-static", "/sbin/docker-init") in [(m.source, m.target) for m in bundle.mounts]
        assert engine.containers.get(record.meta.name).spec["argv"] == ["sleep", "5"]

    with_engine(main, tmp_path)
