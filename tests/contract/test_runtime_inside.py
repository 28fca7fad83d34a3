"""What a container can and cannot do, tried from inside by real programs; limits; streams on the real kernel."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from coracle.core.errors import Invalid
from coracle.linux import pidfd
from coracle.linux.cgroups import Cgroup
from coracle.runtime.api import DEFAULT_CAPABILITIES, Bundle, Mount, Process, Resources
from coracle.runtime.conmon import waiting
from coracle.runtime.spec import MASKED_PATHS, READ_ONLY_PATHS
from suites.real_runtime import Machine
from suites.runtime_suite import everything, next_exit, until

ENV = ("PATH=/bin",)
MIB = 1024 * 1024


@pytest.fixture
def machine():
    made = Machine(Path(tempfile.mkdtemp(prefix="cort-")), "crun")
    yield made
    made.close()


class Ran:
    """How a container ended and what it said."""

    def __init__(self, exit, said):
        self.code, self.oom_killed, self.known = exit.code, exit.oom_killed, exit.known
        self.out, self.err = said[1].decode(), said[2].decode()


def run(machine, *argv, process=None, runs=1, **fields):
    """Run a program to its end as the first of a container, `runs` times one after another."""

    async def main():
        driver = machine.runtime()
        for _ in range(runs):
            ran = await once(driver)
        return ran

    async def once(driver):
        given = Process(argv=argv, env=ENV, **(process or {}))
        await driver.create(Bundle(id="c", rootfs_path=str(machine.rootfs), process=given, **fields))
        streams = await driver.attach("c")
        await driver.start("c")
        said = await everything(streams)
        streams.close()
        exit = await next_exit(driver, "c")
        await driver.delete("c")
        return Ran(exit, said)

    return asyncio.run(main())


def python(machine, code, **fields):
    """Run Python inside, on the host's files, which are bound read-only below the container's root."""
    host = Mount(target="/host", source="/", read_only=True)
    script = f"import ctypes, errno, os, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n{code}"
    return run(machine, "chroot", "/host", sys.executable, "-c", script, mounts=(host,), **fields)


def status(text):
    return dict(line.split(":\t") for line in text.splitlines() if ":\t" in line)


# -- privileges ---------------------------------------------------------------------------------------------------


def test_it_has_the_fourteen_capabilities_and_nothing_to_inherit(machine):
    found = status(run(machine, "cat", "/proc/self/status").out)
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert found[name] == "00000000a80425fb"
    assert (found["CapInh"], found["CapAmb"]) == ("0" * 16, "0" * 16)
    assert found["Seccomp"] == "2"


def test_who_is_not_root_holds_no_capability_and_no_group_of_roots(machine):
    ran = run(machine, "sh", "-c", "cat /proc/self/status; id", process={"uid": 1000, "gid": 1000, "groups": (7,)})
    found = status(ran.out)
    assert (found["CapPrm"], found["CapEff"]) == ("0" * 16, "0" * 16)
    assert found["CapBnd"] == "00000000a80425fb"
    assert "uid=1000" in ran.out
    assert found["Groups"].split() == ["7"]


def test_no_new_privileges(machine):
    assert (
        status(run(machine, "cat", "/proc/self/status", process={"no_new_privileges": True}).out)["NoNewPrivs"] == "1"
    )
    assert status(run(machine, "cat", "/proc/self/status").out)["NoNewPrivs"] == "0"


def test_a_privileged_one_has_what_we_have(machine):
    ran = run(machine, "sh", "-c", "cat /proc/self/status; ls /dev", privileged=True)
    mine = status(Path("/proc/self/status").read_text())["CapBnd"]
    assert status(ran.out)["CapEff"] == mine
    assert status(ran.out)["Seccomp"] == "0"
    assert "kmsg" in ran.out


@pytest.mark.parametrize("path", MASKED_PATHS)
def test_masked_paths_are_empty(machine, path):
    ran = run(
        machine, "sh", "-c", f"if [ -d {path} ]; then ls -A {path}; elif [ -e {path} ]; then head -c 64 {path}; fi"
    )
    assert (ran.code, ran.out) == (0, "")


def test_kernel_settings_cannot_be_written(machine):
    paths = [*READ_ONLY_PATHS, "/sys/kernel", "/sys/fs/cgroup", "/sys/fs/cgroup/memory"]
    tries = "\n".join(f"mkdir {path}/x 2>&1; echo b 2>/dev/null > {path} && echo wrote {path}" for path in paths)
    ran = run(machine, "sh", "-c", f"{tries}\necho 1 2>/dev/null > /proc/sys/kernel/domainname && echo wrote; true")
    assert "wrote" not in ran.out


def test_the_root_can_be_read_only(machine):
    ran = run(machine, "sh", "-c", "touch /x; touch /dev/shm/y && echo shm", read_only_root=True)
    assert "Read-only file system" in ran.err
    assert ran.out == "shm\n"
    assert not (machine.rootfs / "x").exists()


def test_devices_of_the_host_cannot_be_opened(machine):
    ran = run(
        machine,
        "sh",
        "-c",
        "mknod /tmp/disk b 254 0; dd if=/tmp/disk of=/dev/null count=1; head -c 1 /dev/zero | wc -c",
    )
    assert "Operation not permitted" in ran.err
    assert ran.out == "1\n"


def test_no_descriptor_of_ours_is_inside(machine):
    held = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        ran = run(machine, "sh", "-c", "ls /proc/1/fd; true")
    finally:
        os.close(held)
    assert set(ran.out.split()) <= {"0", "1", "2"}


EPERM, ENOSYS, EAFNOSUPPORT, EINVAL = 1, 38, 97, 22
NEW_USER, NEW_NET = 0x10000000, 0x40000000

CALLS = [
    # (name, number on x86_64, arguments, errno)
    pytest.param(272, (NEW_USER,), EPERM, id="unshare user"),
    pytest.param(308, (0, 0), EPERM, id="setns"),
    pytest.param(165, (0, 0, 0, 0, 0), EPERM, id="mount"),
    pytest.param(166, (0, 0), EPERM, id="umount2"),
    pytest.param(428, (0, 0, 0), EPERM, id="open_tree"),
    pytest.param(430, (0, 0), EPERM, id="fsopen"),
    pytest.param(155, (0, 0), EPERM, id="pivot_root"),
    pytest.param(56, (NEW_USER | 17, 0, 0, 0, 0), EPERM, id="clone user"),
    pytest.param(56, (NEW_NET | 17, 0, 0, 0, 0), EPERM, id="clone net"),
    pytest.param(435, (0, 0), ENOSYS, id="clone3"),
    pytest.param(250, (0, 0), EPERM, id="keyctl"),
    pytest.param(248, (0, 0, 0, 0, 0), EPERM, id="add_key"),
    pytest.param(425, (1, 0), EPERM, id="io_uring_setup"),
    pytest.param(321, (0, 0, 0), EPERM, id="bpf"),
    pytest.param(298, (0, 0, 0, 0, 0), EPERM, id="perf_event_open"),
    pytest.param(323, (0,), EPERM, id="userfaultfd"),
    pytest.param(175, (0, 0, 0), EPERM, id="init_module"),
    pytest.param(246, (0, 0, 0, 0), EPERM, id="kexec_load"),
    pytest.param(304, (0, 0, 0), EPERM, id="open_by_handle_at"),
    pytest.param(167, (0, 0), EPERM, id="swapon"),
    pytest.param(169, (0, 0, 0, 0), EPERM, id="reboot"),
    pytest.param(170, (0, 0), EPERM, id="sethostname"),
    pytest.param(103, (3, 0, 0), EPERM, id="syslog"),
    pytest.param(312, (0, 0, 0, 0, 0), EPERM, id="kcmp"),
    pytest.param(227, (0, 0), EPERM, id="clock_settime"),
    pytest.param(41, (38, 5, 0), EAFNOSUPPORT, id="socket AF_ALG"),
    pytest.param(41, (38 | 1 << 32, 5, 0), EAFNOSUPPORT, id="socket AF_ALG with rubbish above"),
    pytest.param(41, (40, 1, 0), EAFNOSUPPORT, id="socket AF_VSOCK"),
    pytest.param(135, (0x40000,), ENOSYS, id="personality"),
    pytest.param(999, (), ENOSYS, id="a call nobody knows yet"),
]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
@pytest.mark.parametrize("runs", [pytest.param(1, id="compiled"), pytest.param(2, id="kept from the first time")])
def test_system_calls_that_are_refused(machine, runs):
    asked = [(case.id, *case.values) for case in CALLS]
    code = f"""
import json
answers = {{}}
for name, number, arguments, _ in {asked!r}:
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    if number == 56 and result == 0:
        os._exit(0)
    answers[name] = ctypes.get_errno() if result < 0 else 0
print(json.dumps(answers))
"""
    ran = python(machine, code, runs=runs)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == {name: expected for name, _, _, expected in asked}


def test_a_capability_opens_its_calls(machine):
    code = "print(libc.unshare(0x20000), ctypes.get_errno())"
    assert python(machine, code).out == "-1 1\n"
    more = {"capabilities": (*DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN")}
    assert python(machine, code, process=more).out == "0 0\n"
    assert python(machine, code, runs=2).out == "-1 1\n"


def test_seccomp_can_be_left_out_or_be_ones_own(machine):
    assert status(run(machine, "cat", "/proc/self/status", seccomp="unconfined").out)["Seccomp"] == "0"
    profile = machine.directory / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    assert "Permission denied" in run(machine, "mkdir", "/tmp/x", seccomp=str(profile)).err
    with pytest.raises(Invalid, match="cannot be read"):
        run(machine, "true", seccomp="/nowhere.json")


def test_ordinary_software_works(machine):
    code = """
import asyncio, hashlib, multiprocessing, socket, ssl, subprocess, tempfile, threading, json, mmap, select, signal
done = []
thread = threading.Thread(target=done.append, args=(1,)); thread.start(); thread.join()
assert done == [1]
assert subprocess.run([sys.executable, "-c", "print(2)"], capture_output=True, text=True).stdout == "2\\n"
async def main():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b""
    writer.close()
    process = await asyncio.create_subprocess_exec("/bin/true")
    assert await process.wait() == 0
asyncio.run(main())
os.sched_setaffinity(0, os.sched_getaffinity(0))
with tempfile.TemporaryFile(dir="/dev/shm") as file:
    file.truncate(4096); mmap.mmap(file.fileno(), 4096)[0] = 1
os.setpriority(os.PRIO_PROCESS, 0, 19); os.chroot("/"); os.urandom(8); os.memfd_create("x"); os.pidfd_open(os.getpid())
print("fine")
"""
    ran = python(machine, code)
    assert (ran.out, ran.err) == ("fine\n", "")


# -- what an image may not do -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
@pytest.mark.parametrize("sort", ["a symbolic link", "a file", "a FIFO"])
def test_an_image_cannot_put_something_else_for_the_kernels_directories(machine, name, sort):
    (machine.rootfs / name).rmdir()
    target = machine.directory / "outside"
    target.mkdir()
    if sort == "a FIFO":
        os.mkfifo(machine.rootfs / name)
    elif sort == "a file":
        (machine.rootfs / name).touch()
    else:
        (machine.rootfs / name).symlink_to(target)
    with pytest.raises(Invalid, match=f"/{name} is {sort}, not a directory"):
        run(machine, "true")
    assert os.listdir(target) == []


@pytest.mark.parametrize("sort", ["a link out", "a dangling link", "a FIFO", "nothing"])
def test_a_file_is_mounted_whatever_the_image_has_there(machine, sort):
    outside, ours = machine.directory / "outside", machine.directory / "hosts"
    outside.write_text("untouched")
    ours.write_text("127.0.0.1 localhost\n")
    place = machine.rootfs / "etc" / "hosts"
    if sort == "a FIFO":
        os.mkfifo(place)
    elif sort != "nothing":
        place.symlink_to(outside if sort == "a link out" else "/nowhere/at/all")
    ran = run(machine, "cat", "/etc/hosts", mounts=(Mount(target="/etc/hosts", source=str(ours)),))
    assert ran.out == "127.0.0.1 localhost\n"
    assert outside.read_text() == "untouched"


def test_an_ordinary_link_on_the_way_is_followed_inside_the_root(machine):
    (machine.rootfs / "run").mkdir()
    (machine.rootfs / "var").mkdir()
    (machine.rootfs / "var" / "run").symlink_to("/run")
    source = machine.directory / "token"
    source.mkdir()
    (source / "ca").write_text("inside")
    mount = Mount(target="/var/run/secrets/x", source=str(source), read_only=True)
    assert run(machine, "cat", "/run/secrets/x/ca", mounts=(mount,)).out == "inside"


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/self", "/a/../../b", "relative"])
def test_nothing_is_mounted_in_forbidden_places(machine, target):
    with pytest.raises(Invalid):
        run(machine, "true", mounts=(Mount(target=target, source="/tmp"),))


def test_sysctls_of_the_host_are_refused_and_ones_own_are_set(machine):
    with pytest.raises(Invalid, match="namespaced"):
        run(machine, "true", sysctls={"kernel.panic": "1"})
    with pytest.raises(Invalid, match="namespaced"):
        run(machine, "true", sysctls={"net.core.somaxconn": "1000"}, netns_path="host")
    ran = run(machine, "cat", "/proc/sys/net/core/somaxconn", sysctls={"net.core.somaxconn": "1234"})
    assert ran.out == "1234\n"


# -- limits -------------------------------------------------------------------------------------------------------


def test_who_wants_more_memory_than_allowed_is_killed_and_it_is_told(machine):
    limits = Resources(memory_bytes=16 * MIB)
    ran = run(machine, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1", resources=limits)
    assert (ran.code, ran.oom_killed, ran.known) == (137, True, True)
    assert not run(machine, "true", resources=limits).oom_killed


def test_a_fork_bomb_meets_its_limit(machine):
    script = "i=0; while [ $i -lt 30 ]; do sleep 100 & i=$((i+1)); done"
    ran = run(machine, "sh", "-c", script, resources=Resources(pids=10))
    assert "fork" in ran.err


def test_limits_are_written_and_changed_and_use_is_read(machine):
    async def main():
        runtime = machine.runtime()
        limits = Resources(memory_bytes=64 * MIB, cpu_quota_us=50_000, cpu_shares=512, pids=20, cpuset_cpus="0")
        process = Process(argv=("sleep", "infinity"), env=ENV)
        await runtime.create(Bundle(id="c", rootfs_path=str(machine.rootfs), process=process, resources=limits))
        await runtime.start("c")
        group = Cgroup(f"{machine.cgroup}/c")
        assert _cpu_quota(group) == (50_000, 100_000)
        used = runtime.usage("c")
        assert (used.memory_limit_bytes, used.pids) == (64 * MIB, 1)
        assert 0 < used.memory_bytes < 64 * MIB
        assert used.cpu_ns > 0
        await runtime.update("c", Resources(memory_bytes=32 * MIB, cpu_quota_us=20_000))
        assert _cpu_quota(group) == (20_000, 100_000)
        assert runtime.usage("c").memory_limit_bytes == 32 * MIB
        await runtime.delete("c")

    asyncio.run(main())


def _cpu_quota(group):
    directory = group.directory("cpu")
    if (directory / "cpu.max").exists():
        return tuple(int(word) for word in (directory / "cpu.max").read_text().split())
    return tuple(int((directory / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))


def test_resource_limits_of_processes_hold(machine):
    ran = run(machine, "sh", "-c", "ulimit -n", process={"rlimits": {"nofile": (100, 200)}})
    assert ran.out == "100\n"


def test_a_log_is_kept_within_its_limit(machine):
    log = machine.directory / "log"
    ran = run(machine, "sh", "-c", "yes | head -n 100000", log_path=str(log), log_limit_bytes=100_000)
    assert ran.code == 0
    assert 0 < log.stat().st_size <= 100_000


# -- streams ------------------------------------------------------------------------------------------------------


def test_output_and_errors_come_apart(machine):
    ran = run(machine, "sh", "-c", "echo out; echo err >&2; exit 4")
    assert (ran.out, ran.err, ran.code) == ("out\n", "err\n", 4)


def in_running(machine, body, **fields):
    """Run `body(runtime)` beside a container "c" that sleeps."""

    async def main():
        runtime = machine.runtime()
        process = Process(argv=("sleep", "infinity"), env=ENV)
        await runtime.create(Bundle(id="c", rootfs_path=str(machine.rootfs), process=process, **fields))
        await runtime.start("c")
        try:
            await body(runtime)
        finally:
            await runtime.delete("c")

    asyncio.run(main())


def test_a_terminal_has_a_size_and_can_be_resized(machine):
    async def body(runtime):
        process = Process(argv=("sh",), env=ENV, tty=True, tty_size=(100, 30))
        execution = await runtime.exec("c", process, stdin=True)
        await execution.write(b"stty size\n")
        assert b"30 100" in await until(execution, b"30 100")
        execution.resize(132, 50)
        await execution.write(b"stty size\n")
        assert b"50 132" in await until(execution, b"50 132")
        await execution.write(b"exit 9\n")
        assert await execution.wait() == 9
        execution.close()

    in_running(machine, body)


def test_the_first_programs_terminal_can_be_attached_to_and_resized(machine):
    async def main():
        runtime = machine.runtime()
        process = Process(argv=("sh",), env=ENV, tty=True)
        await runtime.create(Bundle(id="t", rootfs_path=str(machine.rootfs), process=process, stdin=True))
        await runtime.start("t")
        streams = await runtime.attach("t")
        streams.resize(77, 33)
        await streams.write(b"while [ \"$(stty size)\" != '33 77' ]; do :; done; echo si''zed\n")
        assert b"sized" in await until(streams, b"sized")
        await streams.write(b"exit 6\n")
        assert (await next_exit(runtime, "t")).code == 6
        streams.close()
        await runtime.delete("t")

    asyncio.run(main())


def test_a_long_path_is_no_hindrance_to_sockets(machine):
    machine.run_dir = machine.directory / ("deep" * 20) / ("deeper" * 20)

    async def body(runtime):
        execution = await runtime.exec("c", Process(argv=("echo", "hi"), env=ENV, tty=True))
        assert (await everything(execution))[1] == b"hi\r\n"
        (await runtime.attach("c")).close()

    in_running(machine, body)


def test_much_output_comes_whole(machine):
    async def body(runtime):
        execution = await runtime.exec("c", Process(argv=("head", "-c", "3000000", "/dev/zero"), env=ENV))
        assert len((await everything(execution))[1]) == 3_000_000
        assert await execution.wait() == 0

    in_running(machine, body)


def test_much_input_goes_whole(machine):
    async def body(runtime):
        execution = await runtime.exec("c", Process(argv=("wc", "-c"), env=ENV), stdin=True)
        await execution.write(b"x" * 1_000_000)
        execution.close_stdin()
        assert (await everything(execution))[1].strip() == b"1000000"

    in_running(machine, body)


def test_an_exec_that_leaves_something_behind_ends_all_the_same(machine):
    async def body(runtime):
        execution = await runtime.exec("c", Process(argv=("sh", "-c", "sleep 1000 & echo started"), env=ENV))
        assert (await everything(execution))[1] == b"started\n"
        assert await execution.wait() == 0

    in_running(machine, body)


def test_a_program_goes_on_when_its_streams_are_let_go(machine):
    script = "while [ ! -e /tmp/go ]; do echo noise; done; echo more; touch /tmp/finished"

    async def body(runtime):
        execution = await runtime.exec("c", Process(argv=("sh", "-c", script), env=ENV))
        await until(execution, b"noise")
        execution.close()
        (machine.rootfs / "tmp" / "go").touch()
        assert await execution.wait() == 0
        assert (machine.rootfs / "tmp" / "finished").exists()

    in_running(machine, body)


def test_an_exec_has_the_containers_limits_on_what_it_may(machine):
    async def body(runtime):
        user = Process(argv=("cat", "/proc/self/status"), env=ENV, uid=1000, gid=1000)
        found = status((await everything(await runtime.exec("c", user)))[1].decode())
        assert (found["CapEff"], found["Seccomp"], found["Uid"].split()[0]) == ("0" * 16, "2", "1000")
        root = Process(argv=("cat", "/proc/self/status"), env=ENV)
        found = status((await everything(await runtime.exec("c", root)))[1].decode())
        assert (found["CapEff"], found["CapInh"], found["CapAmb"]) == ("00000000a80425fb", "0" * 16, "0" * 16)

    in_running(machine, body)


def test_exec_refuses_what_leads_out(machine):
    async def body(runtime):
        for wrong in ({"uid": 2**32}, {"cwd": "/proc/self/fd/8"}, {"cwd": "relative"}):
            with pytest.raises(Invalid):
                await runtime.exec("c", Process(argv=("true",), env=ENV, **wrong))
        with pytest.raises(Invalid, match=r"chdir|No such file"):
            await runtime.exec("c", Process(argv=("true",), env=ENV, cwd="/nowhere"))
        with pytest.raises(Invalid, match="ermission"):
            await runtime.exec("c", Process(argv=("/etc/passwd",), env=ENV))

    in_running(machine, body)


def test_descriptors_are_given_back(machine):
    async def body(runtime):
        counts = []
        for _ in range(6):
            execution = await runtime.exec("c", Process(argv=("echo", "x"), env=ENV), stdin=True)
            await everything(execution)
            await execution.wait()
            execution.close()
            with pytest.raises(Invalid):
                await runtime.exec("c", Process(argv=("missing",), env=ENV, tty=True))
            (await runtime.attach("c")).close()
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts[-1] == counts[1]

    in_running(machine, body)


def test_every_process_can_be_signalled_at_once(machine):
    async def main():
        runtime = machine.runtime()
        wait = "while :; do sleep 0.01; done"
        second = f'trap "echo second; exit 0" TERM; echo up; {wait}'
        script = f"trap 'echo first; exit 0' TERM; sh -c '{second}' & {wait}"
        bundle = Bundle(id="c", rootfs_path=str(machine.rootfs), process=Process(argv=("sh", "-c", script), env=ENV))
        await runtime.create(bundle)
        streams = await runtime.attach("c")
        await runtime.start("c")
        await until(streams, b"up")
        await runtime.kill("c", signal.SIGTERM, all=True)
        assert b"first" in (await everything(streams))[1]
        assert (await next_exit(runtime, "c")).code == 0
        streams.close()
        await runtime.delete("c")

    asyncio.run(main())


def test_a_container_among_the_hosts_processes_ends_as_a_whole(machine):
    async def main():
        runtime = machine.runtime()
        process = Process(argv=("sh", "-c", "sleep 1000 & echo $!; cat; exit 3"), env=ENV)
        bundle = Bundle(
            id="c", rootfs_path=str(machine.rootfs), process=process, pidns_path="host", stdin=True, stdin_once=True
        )
        await runtime.create(bundle)
        streams = await runtime.attach("c")
        await runtime.start("c")
        left = pidfd.find(int(await until(streams, b"\n")))
        streams.close_stdin()
        assert (await next_exit(runtime, "c")).code == 3
        async with asyncio.timeout(60):
            await waiting.wait_readable(left)  # ended
        os.close(left)
        streams.close()
        await runtime.delete("c")

    asyncio.run(main())


def test_a_hostname_and_a_network_of_its_own(machine):
    ran = run(machine, "sh", "-c", "hostname; ls /sys/class/net", hostname="boat")
    assert ran.out.split() == ["boat", "lo"]
    ran = run(machine, "ls", "/sys/class/net", netns_path="host")
    assert set(ran.out.split()) == {name for _, name in socket.if_nameindex()}
