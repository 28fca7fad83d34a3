"""What else can be asked for a container, seen from inside: limits, devices, namespaces, memory, filters, pauses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

from coracle.core.errors import Invalid
from coracle.linux.cgroups import Cgroup
from coracle.runtime.api import Bundle, Device, Mount, Process, Resources
from suites.real_runtime import Machine
from suites.runtime_suite import everything, next_exit, until

ENV = ("PATH=/bin",)
MIB = 1024 * 1024
FOREVER = ("sleep", "infinity")


@pytest.fixture(scope="module")
def machine():
    made = Machine(Path(tempfile.mkdtemp(prefix="cort-")), "crun")
    yield made
    made.close()


class Kept:
    """A container that runs while we look at it."""

    def __init__(self, machine, runtime, id):
        self.machine, self.runtime, self.id = machine, runtime, id
        self.group = Cgroup(f"{machine.cgroup}/{id}")

    async def sh(self, script):
        execution = await self.runtime.exec(self.id, Process(argv=("sh", "-c", script), env=ENV))
        said = await everything(execution)
        await execution.wait()
        return (said[1] + said[2]).decode()

    def limit(self, controller, name):
        return (self.group.directory(controller) / name).read_text().strip()


class Keeping:
    """`async with Keeping(machine, ...) as kept`: a container that sleeps, and goes with the block."""

    def __init__(self, machine, *argv, id="c", process=None, **fields):
        self._machine, self._runtime = machine, machine.runtime()
        given = Process(argv=argv or FOREVER, env=ENV, **(process or {}))
        self._bundle = Bundle(id=id, rootfs_path=str(machine.rootfs), process=given, **fields)

    async def __aenter__(self):
        await self._runtime.create(self._bundle)
        await self._runtime.start(self._bundle.id)
        return Kept(self._machine, self._runtime, self._bundle.id)

    async def __aexit__(self, *_):
        await self._runtime.delete(self._bundle.id)
        self._runtime.close()


def inside(machine, script, **fields):
    """What a shell in a container says."""

    async def main():
        async with Keeping(machine, **fields) as kept:
            return await kept.sh(script)

    return asyncio.run(main())


def refused(machine, **fields):
    with pytest.raises(Invalid) as caught:
        inside(machine, "true", **fields)
    return str(caught.value)


# -- limits -------------------------------------------------------------------------------------------------------


def test_every_limit_that_this_machine_has_is_written(machine):
    limits = Resources(
        memory_bytes=64 * MIB,
        memory_swap_bytes=96 * MIB,
        memory_reservation_bytes=32 * MIB,
        memory_swappiness=7,
        oom_kill_disable=True,
        cpu_period_us=50_000,
        cpu_shares=2048,
        cpuset_cpus="0",
        cpuset_mems="0",
        pids=30,
        blkio_weight=300,
    )

    async def main():
        async with Keeping(machine, resources=limits) as kept:
            group = kept.group
            if group.version2:
                assert kept.limit("memory", "memory.max") == str(64 * MIB)
                assert kept.limit("memory", "memory.swap.max") == str(32 * MIB)
                assert kept.limit("memory", "memory.low") == str(32 * MIB)
                assert kept.limit("cpu", "cpu.max") == "max 50000"
            else:
                assert kept.limit("memory", "memory.limit_in_bytes") == str(64 * MIB)
                assert kept.limit("memory", "memory.memsw.limit_in_bytes") == str(96 * MIB)
                assert kept.limit("memory", "memory.soft_limit_in_bytes") == str(32 * MIB)
                assert kept.limit("memory", "memory.swappiness") == "7"
                assert "oom_kill_disable 1" in kept.limit("memory", "memory.oom_control")
                assert kept.limit("cpu", "cpu.cfs_period_us") == "50000"
                assert kept.limit("cpu", "cpu.shares") == "2048"
            assert kept.limit("cpuset", "cpuset.cpus") == "0"
            assert kept.limit("cpuset", "cpuset.mems") == "0"
            assert kept.limit("pids", "pids.max") == "30"
            used = kept.runtime.usage(kept.id)
            assert (used.memory_limit_bytes, used.pids_limit) == (64 * MIB, 30)

    asyncio.run(main())


def test_limits_are_changed_up_and_down_and_taken_away(machine):
    async def main():
        first = Resources(memory_bytes=64 * MIB, memory_swap_bytes=64 * MIB, pids=30)
        async with Keeping(machine, resources=first) as kept:
            for memory_bytes, pids in ((256 * MIB, 50), (32 * MIB, 10)):
                asked = Resources(memory_bytes=memory_bytes, memory_swap_bytes=2 * memory_bytes, pids=pids)
                await kept.runtime.update(kept.id, asked)
                used = kept.runtime.usage(kept.id)
                assert (used.memory_limit_bytes, used.pids_limit) == (memory_bytes, pids)
            await kept.runtime.update(kept.id, Resources(memory_bytes=-1, memory_swap_bytes=-1, pids=-1))
            used = kept.runtime.usage(kept.id)
            assert (used.memory_limit_bytes, used.pids_limit) == (None, None)

    asyncio.run(main())


def test_use_is_told_in_all_its_parts(machine):
    async def main():
        busy = ("sh", "-c", "while :; do dd if=/dev/zero of=/dev/null bs=64k count=1000 2>/dev/null; done")
        async with Keeping(machine, *busy, resources=Resources(cpu_quota_us=20_000)) as kept:
            async with asyncio.timeout(30):
                while kept.runtime.usage("c").cpu_throttled_periods == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            used = kept.runtime.usage("c")
            assert used.cpu_periods >= used.cpu_throttled_periods > 0
            assert used.cpu_ns > 0
            assert used.cpu_kernel_ns > 0
            assert used.memory_all_bytes >= used.memory_bytes > 0
            assert used.memory_stats
            assert kept.group.version2 or len(used.cpu_each_ns) >= (os.cpu_count() or 1)
            assert used.pids >= 1
            assert len(kept.runtime.processes("c")) >= 1

    asyncio.run(main())


def test_no_limit_of_a_process_is_minus_one(machine):
    assert inside(machine, "cat /proc/1/limits", process={"rlimits": {"core": (-1, -1)}}).count("unlimited") > 0
    assert "rlimits[nofile]" in refused(machine, process={"rlimits": {"nofile": (-1, 100)}})


# -- devices ------------------------------------------------------------------------------------------------------


def test_a_device_can_be_read_where_it_may_be(machine):
    device = Device(path="/dev/mine", source="/dev/net/tun", access="r")
    said = inside(machine, "(: < /dev/mine) && echo yes; (: > /dev/mine) 2>/dev/null || echo no", devices=(device,))
    assert said == "yes\nno\n"


def test_a_directory_of_devices_is_taken_whole(machine):
    said = inside(machine, "ls /dev/input2", devices=(Device(path="/dev/input2", source="/dev/net"),))
    assert said.split() == sorted(os.listdir("/dev/net"))


def test_no_file_system_is_searched_for_devices(machine):
    said = refused(machine, devices=(Device(path="/dev/x", source="/"),))
    assert said == "/ has more than 10000 files: too many to look for devices in"


def test_a_rule_allows_what_is_made_inside(machine):
    script = "mknod /tmp/tun-$$ c 10 200 && (: < /tmp/tun-$$) && echo yes || echo no"
    assert inside(machine, script, device_rules=("c 10:* rwm",)).startswith("yes\n")
    assert inside(machine, script).startswith("no\n")
    assert "device_rules[0]" in refused(machine, device_rules=("c 1 rwm",))


def test_devices_that_are_none_are_refused_in_known_words(machine):
    said = refused(machine, devices=(Device(path="/dev/x", source="/dev/nothing"),))
    assert said == (
        'error gathering device information while adding custom device "/dev/nothing": no such file or directory'
    )
    assert "not a device node" in refused(machine, devices=(Device(path="/dev/x", source="/etc/passwd"),))
    assert "devices[0].access" in refused(machine, devices=(Device(path="/dev/x", source="/dev/null", access="x"),))


# -- namespaces ---------------------------------------------------------------------------------------------------


def test_cgroups_can_be_a_namespace_of_its_own_or_the_hosts(machine):
    def group_line(text):
        return next(line for line in text.splitlines() if ":pids:" in line or line.startswith("0::"))

    own = group_line(inside(machine, "cat /proc/self/cgroup", cgroupns="private"))
    assert own.endswith(":/")
    hosts = group_line(inside(machine, "cat /proc/self/cgroup", cgroupns="host"))
    assert hosts.endswith(f"{machine.cgroup}/c")


def test_its_groups_are_to_be_seen_and_not_written(machine):
    for mode in ("private", "host"):
        said = inside(
            machine,
            "ls /sys/fs/cgroup | wc -l; mkdir /sys/fs/cgroup/memory/x || echo no",
            cgroupns=mode,
        )
        assert int(said.split()[0]) > 0
        assert "no\n" in said
        assert "Read-only" in said


def test_a_domain_name_is_its_own(machine):
    said = inside(machine, "cat /proc/sys/kernel/domainname; hostname", domainname="example.org", hostname="boat")
    assert said == "example.org\nboat\n"


@pytest.mark.parametrize(("shm", "expected"), [("", "3072"), ("none", "none")])
def test_memory_of_its_own_has_a_size_or_is_not_there(machine, shm, expected):
    script = "grep -q ' /dev/shm ' /proc/mounts && grep ' /dev/shm ' /proc/mounts || echo none"
    assert expected in inside(machine, script, shm=shm, shm_bytes=3 * MIB)


# -- files --------------------------------------------------------------------------------------------------------


def test_memory_can_be_mounted_with_options(machine):
    mount = Mount(target="/tmp", type="tmpfs", options=("rw", "noexec", "nosuid", "nodev", "size=1m", "mode=700"))
    said = inside(machine, "grep ' /tmp ' /proc/mounts", mounts=(mount,), read_only_root=True)
    assert "noexec" in said
    assert "size=1024k" in said
    assert "mode=700" in said


def test_what_is_read_only_can_be_so_with_all_that_is_below(machine):
    target = Mount(target="/host", source="/dev", options=("rbind", "rprivate", "rro"))
    said = inside(machine, "(: > /host/shm/x) 2>&1; (: > /host/x) 2>&1", mounts=(target,))
    assert said.count("Read-only") == 2


# -- filters ------------------------------------------------------------------------------------------------------


def profile(*rules, default="SCMP_ACT_ALLOW"):
    return json.dumps({"defaultAction": default, "syscalls": list(rules)})


def test_a_profile_in_dockers_words_holds(machine):
    no_mkdir = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    script = "mkdir /tmp/made-$$ 2>&1 && echo made || echo refused"
    assert inside(machine, script, seccomp=profile(no_mkdir)).endswith("refused\n")
    for_others = {**no_mkdir, "excludes": {"caps": ["CAP_CHOWN"]}}
    assert inside(machine, script, seccomp=profile(for_others)) == "made\n"
    assert "decoding seccomp profile failed" in refused(machine, seccomp="{")


def test_a_profile_can_be_a_file(machine):
    path = machine.directory / "profile.json"
    path.write_text(profile({"names": ["chmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"}))
    assert "refused" in inside(machine, "chmod 700 /tmp || echo refused", seccomp=str(path))


# -- pausing ------------------------------------------------------------------------------------------------------


def test_who_is_paused_stands_still_and_a_new_driver_knows_it(machine):
    async def main():
        async with Keeping(machine, "sh", "-c", "while :; do echo x; sleep 0.01; done") as kept:
            streams = await kept.runtime.attach("c")
            await until(streams, b"x")
            await kept.runtime.pause("c")
            assert [(one.state, one.paused) for one in await machine.runtime().states()] == [("running", True)]
            used = kept.runtime.usage("c").cpu_ns
            assert kept.runtime.usage("c").cpu_ns == used
            await kept.runtime.resume("c")
            assert await until(streams, b"x") == b"x\n"
            await kept.runtime.pause("c")
            await kept.runtime.kill("c", signal.SIGKILL)
            await kept.runtime.resume("c")
            streams.close()
            assert (await next_exit(kept.runtime, "c")).code == 137

    asyncio.run(main())
