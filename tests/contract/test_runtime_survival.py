"""Containers outlive whoever made them: daemons and monitors that are killed, and what is told afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import coracle
from coracle.linux import cgroups, pidfd
from coracle.linux.cgroups import Cgroup
from coracle.runtime.api import Bundle, Process
from suites.real_runtime import Machine
from suites.runtime_suite import everything, next_exit, program, until

SOURCE = Path(coracle.__file__).parents[1]


@pytest.fixture
def machine():
    made = Machine(Path(tempfile.mkdtemp(prefix="cort-")), "crun")
    yield made
    made.close()


def daemon(machine, body):
    """Run `body` in a daemon of its own, which is then killed; what it printed as JSON."""
    binaries = (machine.binaries.conmon, machine.binaries.runtime)
    script = f"""
import asyncio, json, os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(SOURCE)!r})
from coracle.core.clock import SystemClock
from coracle.runtime.api import Bundle, Process
from coracle.runtime.conmon.driver import ConmonRuntime
from coracle.runtime.conmon.monitor import Binaries
runtime = ConmonRuntime(Path({str(machine.run_dir)!r}), {machine.cgroup!r}, SystemClock(), Binaries(*{binaries!r}))
def bundle(id, *argv):
    process, log = Process(argv=argv, env=("PATH=/bin",)), {str(machine.directory)!r} + "/" + id + ".log"
    return Bundle(id=id, rootfs_path={str(machine.rootfs)!r}, process=process, log_path=log)
async def main():
{body}
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return json.loads(done.stdout or "null")


def test_a_killed_daemon_leaves_everything_and_the_next_one_knows_it(machine):
    pids = daemon(
        machine,
        """
    pids = {}
    script = "echo before; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo after; exit 5"
    pids["ending"] = await runtime.create(bundle("ending", "sh", "-c", script))
    pids["running"] = await runtime.create(bundle("running", "sh", "-c", "echo up; cat; sleep infinity"))
    pids["waiting"] = await runtime.create(bundle("waiting", "sh", "-c", "exit 8"))
    await runtime.start("ending")
    await runtime.start("running")
    print(json.dumps(pids))
""",
    )
    (machine.rootfs / "tmp" / "go").touch()
    _wait_gone(pids["ending"])

    async def main():
        runtime = machine.runtime()
        exit = await next_exit(runtime, "ending")
        assert (exit.code, exit.known, exit.oom_killed) == (5, True, False)
        assert abs(exit.at_s - time.time()) < 60
        found = {state.id: (state.state, state.pid) for state in await runtime.states()}
        assert found == {
            "ending": ("stopped", 0),
            "running": ("running", pids["running"]),
            "waiting": ("created", pids["waiting"]),
        }
        words = [line.split(" ")[3] for line in (machine.directory / "ending.log").read_text().splitlines()]
        assert words == ["before", "after"]
        assert (await everything(await runtime.exec("running", program("echo", "hi"))))[1] == b"hi\n"
        await runtime.start("waiting")
        assert (await next_exit(runtime, "waiting")).code == 8
        await runtime.kill("running", signal.SIGKILL)
        assert (await next_exit(runtime, "running")).code == 137
        for id in pids:
            await runtime.delete(id)
        assert list(await runtime.states()) == []

    asyncio.run(main())
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids.values())


def test_a_daemon_killed_while_it_creates_leaves_nothing_that_cannot_be_deleted(machine):
    daemon(
        machine,
        """
    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(runtime.create(bundle(f"c{number}", "sleep", "infinity")))
        await asyncio.sleep(0)  # all conmons run, none has answered
        os.kill(os.getpid(), signal.SIGKILL)
""",
    )

    async def main():
        runtime = machine.runtime()
        for state in await runtime.states():
            await runtime.delete(state.id)
        for number in range(6):
            await runtime.create(_bundle(machine, f"c{number}", "true"))
            await runtime.delete(f"c{number}")

    asyncio.run(main())
    assert Cgroup(machine.cgroup).pids() == []
    assert machine._monitors() == []


def _bundle(machine, id, *argv, **fields):
    process = Process(argv=argv, env=("PATH=/bin",))
    return Bundle(
        id=id, rootfs_path=str(machine.rootfs), process=process, log_path=str(machine.directory / f"{id}.log"), **fields
    )


def _wait_gone(pid):
    fd = pidfd.find(pid)
    while fd is not None and not pidfd.ended(fd):
        time.sleep(0.01)
    if fd is not None:
        os.close(fd)


def test_a_lost_monitor_is_told_and_nothing_runs_on(machine):
    async def main():
        runtime = machine.runtime()
        pid = await runtime.create(_bundle(machine, "c", "sh", "-c", "echo said; sleep infinity & sleep infinity"))
        streams = await runtime.attach("c")
        await runtime.start("c")
        await until(streams, b"said")
        os.kill(int((machine.run_dir / "bundles" / "c" / "monitor").read_text()), signal.SIGKILL)
        async with asyncio.timeout(60):
            exit = await next_exit(runtime, "c")
        assert (exit.code, exit.known) == (255, False)
        assert [state.state for state in await runtime.states()] == ["stopped"]
        _wait_gone(pid)
        assert (machine.directory / "c.log").read_text().endswith("stdout F said\n")
        streams.close()
        await runtime.kill("c", signal.SIGKILL)
        await runtime.delete("c")
        assert Cgroup(f"{machine.cgroup}/c").pids() == []
        await runtime.create(_bundle(machine, "c", "true"))
        await runtime.delete("c")

    asyncio.run(main())


def test_a_monitor_lost_while_nobody_looked_is_told_at_the_next_start(machine):
    pid = daemon(
        machine,
        """
    pid = await runtime.create(bundle("c", "sleep", "infinity"))
    await runtime.start("c")
    print(pid)
""",
    )
    os.kill(int((machine.run_dir / "bundles" / "c" / "monitor").read_text()), signal.SIGKILL)

    async def main():
        runtime = machine.runtime()
        exit = await next_exit(runtime, "c")
        assert (exit.code, exit.known) == (255, False)
        await runtime.delete("c")

    asyncio.run(main())
    _wait_gone(pid)


def test_a_number_that_somebody_else_has_by_now_is_not_signalled(machine):
    stranger = subprocess.Popen(["sleep", "1000"])
    try:

        async def main():
            runtime = machine.runtime()
            await runtime.create(_bundle(machine, "c", "sleep", "infinity"))
            await runtime.start("c")
            (machine.run_dir / "bundles" / "c" / "pid").write_text(str(stranger.pid))
            await runtime.kill("c", signal.SIGKILL)
            assert stranger.poll() is None
            await runtime.delete("c")

        asyncio.run(main())
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_cancelled_creation_leaves_nothing(machine):
    async def main():
        runtime = machine.runtime()
        for delay_s in (0, 0.002, 0.005, 0.01):
            task = asyncio.ensure_future(runtime.create(_bundle(machine, "c", "sleep", "infinity")))
            await asyncio.sleep(delay_s)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                await runtime.delete("c")
            assert list(await runtime.states()) == []
            assert Cgroup(f"{machine.cgroup}/c").pids() == []
            assert os.listdir(machine.run_dir / "bundles") == []
            async with asyncio.timeout(60):  # killed is not yet gone
                while machine._monitors():  # noqa: ASYNC110 - processes of others: nothing tells
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def _mounts_of(machine):
    """What is mounted below its directory; others mount elsewhere."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(machine.directory) in line]


def test_what_is_deleted_leaves_no_trace(machine):
    before = _mounts_of(machine)

    async def main():
        runtime = machine.runtime()
        await runtime.create(_bundle(machine, "a", "sh", "-c", "sleep infinity & sleep infinity"))
        await runtime.start("a")
        await runtime.delete("a")
        with pytest.raises(Exception, match="not found"):
            await runtime.create(_bundle(machine, "b", "missing"))

    asyncio.run(main())
    assert _mounts_of(machine) == before
    assert os.listdir(machine.run_dir / "bundles") == []
    assert [name for name in os.listdir(machine.run_dir / "runtime") if not name.startswith(".")] == []
    assert cgroups.children(machine.cgroup) == []


@pytest.mark.slow
def test_a_hundred_at_once(machine):
    async def main():
        runtime = machine.runtime()
        ids = [f"c{number}" for number in range(100)]

        async def one(id):
            await runtime.create(_bundle(machine, id, "sleep", "infinity"))
            await runtime.start(id)

        async with asyncio.TaskGroup() as group:
            for id in ids:
                group.create_task(one(id))
        assert {state.state for state in await runtime.states()} == {"running"}
        assert len({state.pid for state in await runtime.states()}) == 100
        async with asyncio.TaskGroup() as group:
            for id in ids:
                group.create_task(runtime.kill(id, signal.SIGKILL))
        for id in ids:
            assert (await next_exit(runtime, id)).code == 137
        async with asyncio.TaskGroup() as group:
            for id in ids:
                group.create_task(runtime.delete(id))

    asyncio.run(main())
    assert machine._monitors() == []
