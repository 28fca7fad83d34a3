"""An engine on this machine's kernel, in a home of its own: what test_engine_real.py runs, one scenario a process.

    python engine_home.py DIRECTORY SCENARIO

DIRECTORY is kept between scenarios: the next process is the next daemon.  Its name makes all names in the kernel.
"""

import asyncio
import os
import signal
import sys
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from coracle.core.clock import SystemClock
from coracle.core.errors import Conflict, Invalid
from coracle.core.tasks import running
from coracle.engine.containers import Containers, ContainerSpec, Security
from coracle.engine.execs import Execs
from coracle.engine.images import Images
from coracle.engine.logs import Logs, joined
from coracle.engine.sandboxes import DnsConfig, Endpoint, GivenNetworks, Sandboxes, SandboxSpec
from coracle.engine.scratch import Scratch
from coracle.engine.sources import CatalogueSource
from coracle.image.blobs import BlobStore
from coracle.image.catalogue import read_catalogue
from coracle.image.debian import PackageImages
from coracle.image.snapshots.overlay import OverlaySnapshotter
from coracle.linux.namespaces import enter_home
from coracle.net.api import Network
from coracle.net.nft.driver import Marks, NftDriver
from coracle.runtime.api import Mount, Resources
from coracle.runtime.conmon.driver import ConmonRuntime
from coracle.runtime.conmon.monitor import find_binaries
from coracle.store.sqlite import SqliteStore

CACHE = Path(os.environ.get("CORACLE_CACHE", "/var/tmp/coracle-test-cache"))


class RealEngine:
    """The engine over real drivers; everything it makes carries `tag`."""

    def __init__(self, directory, store):
        self.tag = directory.name[-6:]
        self.root, run = directory / "root", directory / "run"
        clock, self.store = SystemClock(), store
        number = int.from_bytes(self.tag.encode()[:2], "big") % 200
        self.pods = pods = Network(
            "pods", f"ce{self.tag[:5]}br", IPv4Network(f"10.97.{number}.0/24"), IPv4Address(f"10.97.{number}.1")
        )
        marks = Marks(f"coracle-{self.tag}", f"ce{self.tag[:5]}", run, ledger_path=directory / "sysctls.json")
        self.net = NftDriver(marks)
        blobs = BlobStore(self.root / "images")
        source = CatalogueSource(PackageImages(CACHE, read_catalogue(), clock), blobs)
        snapshotter = OverlaySnapshotter(self.root / "snapshots")
        paths = {"root_path": str(self.root), "run_path": str(run)}
        self.images = Images(store, clock, blobs, snapshotter, [source], builder=source)
        self.runtime = ConmonRuntime(run, f"/cort-{self.tag}", clock, find_binaries())
        self.sandboxes = Sandboxes(store, clock, self.net, GivenNetworks([pods]), **paths)
        self.containers = Containers(
            store, clock, self.runtime, self.images, self.sandboxes, root_path=paths["root_path"]
        )
        self.execs = Execs(self.runtime, self.containers, self.sandboxes)
        self.logs, self.scratch = Logs(self.containers), Scratch(root_path=paths["root_path"])

    async def start(self, *argv, name="web", sandbox="pod-1", image="busybox", **more):
        await self.images.ensure(image)
        await self.sandboxes.ensure(SandboxSpec(name=sandbox, hostname="mypod", endpoints=(Endpoint(network="pods"),)))
        spec = ContainerSpec(name=name, sandbox=sandbox, image=image, argv=argv or None, **more)
        return await self.containers.start((await self.containers.create(spec)).meta.name)

    async def output(self, *argv, **more):
        """What a program says, run to its end in a container of its own; and its exit code."""
        record = await self.start(*argv, name=f"job-{time.monotonic_ns()}", **more)
        ended = await self.containers.wait_exit(record.meta.name)
        said = [line.data.decode() async for line in self.logs.read(record.meta.name)]
        await self.containers.remove(record.meta.name)
        return "\n".join(said), ended.status["exit_code"]

    async def text(self, id):
        return [line.data.decode() async for line in joined(self.logs.read(id))]


async def life(engine):
    """Create, exec, log, stop, remove: and nothing is left."""
    record = await engine.start("sh", "-c", "echo out; echo err >&2; trap 'exit 3' TERM; while :; do sleep 0.05; done")
    id = record.meta.name
    assert record.status["pid"] > 0
    following = engine.logs.read(id, follow=True)
    lines = [await anext(following), await anext(following)]
    assert {(line.stream, line.data) for line in lines} == {("stdout", b"out"), ("stderr", b"err")}
    found = await engine.execs.run(id, ["sh", "-c", "hostname; id -u; cat /etc/resolv.conf >/dev/null; exit 7"])
    assert (found.output, found.code) == (b"mypod\n0\n", 7)
    with pytest.raises(Invalid, match="no-such-program"):
        await engine.execs.start(id, ["no-such-program"])
    ended = await engine.containers.stop(id, 10)
    assert (ended.status["state"], ended.status["exit_code"]) == ("exited", 3), ended.status
    assert [line async for line in following] == []
    again = await engine.containers.start(id)
    assert again.status["state"] == "running"
    with pytest.raises(Conflict):
        await engine.containers.remove(id)
    await engine.containers.remove(id, force=True)
    await engine.sandboxes.remove("pod-1")
    await nothing_left(engine)


def mounted(directory):
    """The mounts below it; other tests have theirs elsewhere."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]


async def nothing_left(engine):
    assert list(engine.containers.list()) == []
    assert list(engine.sandboxes.list()) == []
    assert await engine.runtime.states() == []
    left = mounted(engine.root.parent)
    assert [line for line in left if "/merged" in line or "/netns/" in line] == [], left
    assert os.listdir(engine.root / "containers") == []
    assert os.listdir(engine.root / "sandboxes") == []
    assert os.listdir(engine.root / "snapshots/containers") == []
    async with asyncio.timeout(60):  # the kernel takes them down in its own time
        while plugs(engine):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def plugs(engine):
    prefix = f"ce{engine.tag[:5]}"
    return [name for name in os.listdir("/sys/class/net") if name.startswith(prefix) and not name.endswith("br")]


async def settings(engine):
    """What the spec asks for is what the program finds."""
    volume = await engine.scratch.scratch("pod-1", "cache")
    memory = await engine.scratch.scratch("pod-1", "fast", medium="Memory", size_bytes=1 << 20)
    said, code = await engine.output(
        "sh", "-c", "id -u; id -g; pwd; echo $A; echo $HOME; echo $HOSTNAME; touch /cache/x; df -k /fast | tail -1; "
        "touch /y 2>/dev/null || echo read-only; grep CapEff /proc/self/status; cat /etc/hosts; ls /etc/hostname",
        user="1000:1000", env=("A=b c",), workdir="/made/here",
        mounts=(Mount(target="/cache", source=volume), Mount(target="/fast", source=memory)),
        security=Security(read_only_root=True, drop=("ALL",)), resources=Resources(memory_bytes=64 << 20, pids=50),
    )  # fmt: skip
    lines = said.splitlines()
    assert code == 0, said
    assert lines[:6] == ["1000", "1000", "/made/here", "b c", "/", "mypod"], said
    assert "1024" in lines[6], said
    assert "read-only" in said, said
    assert "CapEff:\t0000000000000000" in said, said
    assert f"{engine.sandboxes.find('pod-1').status['address']}\tmypod" in said, said
    assert os.listdir(volume) == ["x"]
    await engine.scratch.drop_scratch("pod-1")
    assert (await engine.output("sh", "-c", "grep CapEff /proc/self/status"))[0].endswith("00000000a80425fb")
    assert (await engine.output("sh", "-c", "exit 42"))[1] == 42
    await engine.sandboxes.ensure(SandboxSpec(name="pod-2", dns=DnsConfig(servers=("10.9.8.7",))))
    assert (await engine.output("cat", "/etc/resolv.conf", sandbox="pod-2"))[0] == "nameserver 10.9.8.7"
    for name in ("pod-1", "pod-2"):
        await engine.sandboxes.remove(name)
    await nothing_left(engine)


async def joins(engine):
    """Namespaces and memory of others, an init process, a domain name, /dev/shm of a size."""
    donor = await engine.start(
        "sleep", "1000", name="donor", ipc_mode="shareable", shm_bytes=3 << 20, init=True, domainname="example.org"
    )
    id = donor.meta.name
    said = await engine.execs.run(id, ["sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; df -k /dev/shm | tail -1"])
    assert said.output.decode().startswith("/sbin/docker-init -- sleep 1000"), said
    assert " 3072 " in said.output.decode(), said
    said = await engine.execs.run(id, ["sh", "-c", "cat /proc/sys/kernel/domainname; echo word > /dev/shm/x"])
    assert (said.output, said.code) == (b"example.org\n", 0)
    modes = {f"{name}_mode": f"container:{id}" for name in ("ipc", "pid", "uts")}
    script = "cat /dev/shm/x; for n in ipc pid uts; do readlink /proc/self/ns/$n; done; ps | grep -c 'sleep 1000'"
    joined_in, code = await engine.output("sh", "-c", script, sandbox="pod-2", **modes)
    own = await engine.execs.run(id, ["sh", "-c", script])
    assert (joined_in.splitlines()[:4], code) == (own.output.decode().splitlines()[:4], 0), joined_in
    for mode, fields in (("pid", {"pid_mode": "host"}), ("ipc", {"ipc_mode": "host"}), ("uts", {"uts_mode": "host"})):
        hosts = os.readlink(f"/proc/self/ns/{mode}")
        assert (await engine.output("readlink", f"/proc/self/ns/{mode}", **fields))[0] == hosts
    assert (await engine.output("sh", "-c", "test -e /dev/shm || echo none", ipc_mode="none"))[0] == "none"
    plain = await engine.start("sleep", "1000", name="plain")
    with pytest.raises(Conflict, match="non-shareable IPC"):
        await engine.start("true", name="nobody", ipc_mode=f"container:{plain.meta.name}")
    for record in engine.containers.list():
        await engine.containers.remove(record.meta.name, force=True)
    for name in ("pod-1", "pod-2"):
        await engine.sandboxes.remove(name)
    assert [line for line in mounted(engine.root.parent) if "/shm/" in line] == []
    await nothing_left(engine)


async def attachments(engine):
    """Who attaches before the start misses nothing, by whatever size; input ends with the one who gave it."""
    record = await engine.start("true", name="many")
    id = record.meta.name
    await engine.containers.wait_exit(id)
    await engine.containers.remove(id)
    spec = {"name": "many", "sandbox": "pod-1", "image": "busybox"}
    flood = ContainerSpec(**spec, argv=("sh", "-c", "yes | head -c 3000000; echo end >&2"))
    id = (await engine.containers.create(flood)).meta.name
    for _ in range(3):  # a container that has ended can be attached to for its next run
        with engine.containers.attaching(id) as first, engine.containers.attaching(id) as second:
            await engine.containers.start(id)
            heard = await asyncio.gather(*(listen(attached) for attached in (first, second)))
        assert [(len(said[1]), said[2]) for said in heard] == [(3000000, b"end\n")] * 2
        await engine.containers.wait_exit(id)
    await engine.containers.remove(id)
    reader = ContainerSpec(**spec, argv=("wc", "-c"), stdin=True, stdin_once=True)
    id = (await engine.containers.create(reader)).meta.name
    with engine.containers.attaching(id) as attached:
        await engine.containers.start(id)
        streams = await attached.streams()
        await streams.write(b"x" * 100_000)
        streams.close_stdin()
        assert (await listen(attached))[1].strip() == b"100000"
    await engine.containers.remove(id, force=True)
    await engine.sandboxes.remove("pod-1")
    await nothing_left(engine)


async def listen(attached):
    said = {1: b"", 2: b""}
    async for stream, data in await attached.streams():
        said[stream] += data
    return said


async def executions(engine):
    """Execs with a user, an environment, a directory and rights of their own; paused; left alone."""
    record = await engine.start("sleep", "1000", env=("A=1", "B=1"))
    id = record.meta.name
    script = "id -u; pwd; echo $A$B; grep CapEff /proc/self/status"
    mine = await listed(await engine.execs.start(id, ["sh", "-c", script], user="65534", env=("B=2",), workdir="/tmp"))
    assert mine == ["65534", "/tmp", "12", "CapEff:\t0000000000000000"], mine
    strong = await engine.execs.start(id, ["sh", "-c", "grep CapBnd /proc/self/status"], privileged=True)
    assert (await listed(strong))[0] == mine_may()
    loud = await engine.execs.start(id, ["sh", "-c", "yes | head -c 5000000; exit 4"])
    assert os.readlink(f"/proc/{loud.pid}/ns/net") == os.readlink(f"/proc/{record.status['pid']}/ns/net")
    loud.close()  # nobody listens: it goes on, and its code is kept
    assert await loud.wait() == 4
    for argv, words in ((["nope"], "not found"), (["/etc"], "not permitted|denied")):
        with pytest.raises(Invalid, match=words):
            await engine.execs.start(id, argv)
    await engine.containers.pause(id)
    with pytest.raises(Conflict, match="is paused"):
        await engine.execs.start(id, ["true"])
    ended = await engine.containers.stop(id, 1)
    assert (ended.status["exit_code"], ended.status["paused"]) == (137, False)
    await engine.containers.remove(id)
    await engine.sandboxes.remove("pod-1")
    await nothing_left(engine)


def mine_may():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line for line in lines if line.startswith("CapBnd"))


async def listed(execution):
    said = b"".join([data async for _, data in execution])
    await execution.wait()
    return said.decode().splitlines()


async def refusals(engine):
    """What cannot be started says why and leaves nothing but its record."""
    for argv, code in ((["/nowhere"], 127), (["/etc"], 126)):
        with pytest.raises(Invalid):
            await engine.start(*argv, name=f"bad-{code}")
        record = engine.containers.find_named(f"bad-{code}")
        status = record.status
        assert (status["state"], status["reason"], status["exit_code"]) == ("failed", "ContainerCannotRun", code), (
            status
        )
        assert await engine.runtime.states() == []
        await engine.containers.remove(record.meta.name)
    oom = await engine.start("sh", "-c", "x=a; while :; do x=$x$x$x$x; done", name="hog", resources=Resources(memory_bytes=8 << 20))  # fmt: skip
    status = (await engine.containers.wait_exit(oom.meta.name)).status
    assert (status["exit_code"], status["reason"]) == (137, "OOMKilled"), status
    await engine.containers.remove(oom.meta.name)
    await engine.sandboxes.remove("pod-1")
    await nothing_left(engine)


COUNT = "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done"


async def flood(engine):
    """A log that is written without end stays small; it and the older file have no gap; the newest is there."""
    for count in (1500, 9000):  # rotated once; many times, at once
        record = await engine.start("sh", "-c", COUNT % count, name=f"f{count}", log_limit_bytes=50_000)
        await engine.containers.wait_exit(record.meta.name)
        directory = Path(engine.containers.log_path(record.meta.name)).parent
        sizes = {path.name: path.stat().st_size for path in directory.iterdir()}
        assert set(sizes) >= {"log", "log.1"}, sizes
        assert sum(sizes.values()) <= 2 * 50_000 + 10_000, sizes
        numbers = [int(line.split()[1]) for line in await engine.text(record.meta.name) if line.startswith("line ")]
        assert numbers[-1] == count - 1, numbers[-3:]
        if count == 1500:
            assert numbers == list(range(count)), (sizes, numbers[0])
        tail = [line.data async for line in engine.logs.read(record.meta.name, tail_lines=3)]
        assert b" ".join(tail).endswith(b"%d" % (count - 1)), tail
        await engine.containers.remove(record.meta.name)
    await engine.sandboxes.remove("pod-1")
    await nothing_left(engine)


async def die_with_containers(engine):
    """A daemon that is killed while one container runs, one has just been started, one sandbox is being made."""
    await engine.start("sh", "-c", "echo before; sleep 1; echo after; exit 5", name="short")
    await engine.start("sleep", "1000", name="long", sandbox="pod-2")
    await engine.sandboxes.ensure(SandboxSpec(name="half"))
    await engine.sandboxes._records.change(("", "half"), lambda record: record.with_status(state="making"))
    unsaid = engine.containers

    async def killed(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    await engine.sandboxes.ensure(SandboxSpec(name="pod-3", endpoints=(Endpoint(network="pods"),)))
    spec = ContainerSpec(name="unsaid", sandbox="pod-3", image="busybox", argv=("sleep", "1000"))
    record = await unsaid.create(spec)
    unsaid._records.change = killed
    await unsaid.start(record.meta.name)


async def adopt(engine):
    """The next daemon: everything goes on, and what ended meanwhile is told truly."""
    short, long, unsaid = (engine.containers.find_named(name) for name in ("short", "long", "unsaid"))
    ended = await engine.containers.wait_exit(short.meta.name)
    assert (ended.status["exit_code"], await engine.text(short.meta.name)) == (5, ["before", "after"]), ended.status
    assert long.status["state"] == unsaid.status["state"] == "running"
    assert unsaid.status["pid"] > 0
    assert engine.sandboxes.find("half") is None
    for record in (long, unsaid):
        found = await engine.execs.run(record.meta.name, ["ip", "address", "show", "eth0"])
        address = engine.sandboxes.find(record.spec["sandbox"]).status["address"]
        assert address in found.output.decode(), found
        assert (await engine.containers.stop(record.meta.name, 0)).status["exit_code"] == 137
    for record in engine.containers.list():
        await engine.containers.remove(record.meta.name)
    for record in engine.sandboxes.list():
        await engine.sandboxes.remove(record.meta.name)
    await nothing_left(engine)


async def nginx(engine):
    """The catalogue's nginx answers at its sandbox's address and stops by its own signal."""
    record = await engine.start(image="nginx")
    assert record.spec["stop_signal"] == "SIGQUIT", record.spec
    address = engine.sandboxes.find("pod-1").status["address"]
    async with asyncio.timeout(60):
        while True:
            try:
                reader, writer = await asyncio.open_connection(address, 80)
                break
            except OSError:
                await asyncio.sleep(0.02)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"Welcome to nginx!" in await reader.read()
    writer.close()
    async for line in engine.logs.read(record.meta.name, follow=True):
        if b"GET / HTTP/1.0" in line.data:
            break
    assert (await engine.containers.stop(record.meta.name, 10)).status["exit_code"] == 0
    await engine.containers.remove(record.meta.name)
    await engine.sandboxes.remove("pod-1")
    await nothing_left(engine)


async def crowd(engine):
    """Fifty sandboxes with a container each at once; prints the milliseconds it took, and one alone."""
    await engine.images.ensure("busybox")
    singles = []
    for i in range(10):
        began_s = time.perf_counter()
        await engine.start("sleep", "1000", name=f"one-{i}", sandbox=f"one-{i}")
        singles.append(time.perf_counter() - began_s)
    began_s = time.perf_counter()
    await asyncio.gather(*(engine.start("sleep", "1000", name=f"c{i}", sandbox=f"p{i}") for i in range(50)))
    all_s = time.perf_counter() - began_s
    began_s = time.perf_counter()

    async def end(record):
        await engine.containers.stop(record.meta.name, 0)
        await engine.containers.remove(record.meta.name)
        await engine.sandboxes.remove(record.spec["sandbox"])

    await asyncio.gather(*(end(record) for record in engine.containers.list()))
    gone_s = time.perf_counter() - began_s
    print(f"one {sorted(singles)[5] * 1e3:.0f} ms, fifty {all_s * 1e3:.0f} ms, sixty gone {gone_s * 1e3:.0f} ms")
    await nothing_left(engine)


async def purge(engine):
    await engine.net.purge()


async def main(directory, store, scenario):
    engine = RealEngine(directory, store)
    async with asyncio.timeout(120), running(store):
        await engine.net.ensure_network(engine.pods)
        async with running(engine.containers):
            await globals()[scenario](engine)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    for made in (home / "root", home / "run"):
        made.mkdir(mode=0o700, exist_ok=True)
    opened = SqliteStore(home / "root/store")
    enter_home(home / "run")
    asyncio.run(main(home, opened, sys.argv[2]))
