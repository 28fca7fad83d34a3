"""Other engines to measure beside ours: Debian's docker.io and podman where they are installed, and bare crun.

Peers live in a network namespace and a state directory of their own, so that nothing of them stays on the host.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from measure import a_cloud, pss_bytes


@dataclass
class Engine:
    """A container engine and its command.  `inside` leads into its network namespace; `words` begin every command."""

    name: str
    words: list[str]
    inside: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    monitors: tuple[str, ...] = ()
    """Names of its processes beside the containers' own; `mark` is in their arguments, or `network` is theirs."""
    mark: str = ""
    network: str = "none"

    def run(self, *words, check=True, input=None, quiet=True):
        """Its standard output, stripped."""
        done = subprocess.run(
            [*self.inside, *self.words, *words],
            env={**os.environ, **self.environment},
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            check=check,
        )
        return done.stdout.decode().strip()

    def popen(self, *words, **options):
        return subprocess.Popen([*self.inside, *self.words, *words], env={**os.environ, **self.environment}, **options)

    def addresses(self, names):
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.run("inspect", "--format", form, *names).split()

    def own_pids(self):
        """Its processes, by the names of their programs and the state directory they were told."""
        return [pid for pid in pids() if self._is_own(pid)]

    def _is_own(self, pid):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            program = Path(words[0]).name
            if any(program.startswith(name) for name in self.monitors):
                return any(self.mark in word for word in words) or os.readlink(f"/proc/{pid}/ns/net") == self.network
        return False

    def pss_bytes(self):
        return pss_bytes(self.own_pids())


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


@contextlib.contextmanager
def ours():
    with a_cloud() as cloud:
        environment = {name: cloud.environment[name] for name in ("DOCKER_HOST", "DOCKER_CONFIG")}
        yield (
            Engine("coracle", ["docker"], environment=environment, monitors=("python", "conmon"), mark=cloud.name),
            cloud,
        )


@contextlib.contextmanager
def a_namespace(*, hiding_unified=False):
    """A network namespace of its own with loopback up: the words that lead into it.

    `hiding_unified`: a mount namespace too, where crun does not see a hybrid layout's version 2 cgroups.
    """
    hide = "umount /sys/fs/cgroup/unified 2>/dev/null; exec sleep infinity"
    own = ["--mount", "sh", "-c", hide] if hiding_unified else ["sleep", "infinity"]
    holder = subprocess.Popen(["unshare", "--net", *own])
    try:
        until = time.monotonic() + 5
        while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert time.monotonic() < until
            time.sleep(0.01)
        inside = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        if hiding_unified:
            inside.append(f"--mount=/proc/{holder.pid}/ns/mnt")
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        yield inside
    finally:
        holder.kill()
        holder.wait()


@contextlib.contextmanager
def dockerd():
    """Debian's dockerd, or None."""
    if shutil.which("dockerd") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="peer-docker-", dir="/var/tmp") as root, a_namespace() as inside:
        host = f"unix://{root}/docker.sock"
        command = [*inside, "dockerd", f"--data-root={root}/data", f"--exec-root={root}/run", f"--host={host}"]
        with open(f"{root}/log", "wb") as log:
            daemon = subprocess.Popen([*command, f"--pidfile={root}/pid"], stdout=log, stderr=log)
        engine = Engine(
            "docker", ["docker"], inside, {"DOCKER_HOST": host, "DOCKER_CONFIG": root},
            monitors=("dockerd", "containerd", "docker-proxy"), mark=root,
            network=os.readlink(inside[1].removeprefix("--net=")),
        )  # fmt: skip
        try:
            while subprocess.run(
                ["docker", "version"], env={**os.environ, "DOCKER_HOST": host}, capture_output=True, check=False
            ).returncode:
                assert daemon.poll() is None, Path(f"{root}/log").read_text()[-2000:]
                time.sleep(0.05)
            yield engine
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                left = engine.run("ps", "-aq").split()
                if left:
                    engine.run("rm", "-f", *left)
            daemon.terminate()
            daemon.wait()
            unmount_below(root)


@contextlib.contextmanager
def podman():
    """Debian's podman with crun, or None."""
    if shutil.which("podman") is None:
        yield None
        return
    with (
        tempfile.TemporaryDirectory(prefix="peer-podman-", dir="/var/tmp") as root,
        a_namespace(hiding_unified=True) as inside,
    ):
        # Its own limits are above what a root without CAP_SYS_RESOURCE may set.
        Path(root, "conf").write_text('[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n')
        words = ["podman", f"--root={root}/data", f"--runroot={root}/run", f"--tmpdir={root}/tmp", "--runtime=crun"]
        words += [f"--network-config-dir={root}/networks", "--cgroup-manager=cgroupfs", "--events-backend=file"]
        engine = Engine(
            "podman", words, inside, {"CONTAINERS_CONF": f"{root}/conf"}, monitors=("conmon",), mark=root,
        )  # fmt: skip
        try:
            yield engine
        finally:
            engine.run("rm", "-fa", "-t0", check=False)
            unmount_below(root)


def unmount_below(root):
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        path = line.split()[1]
        if path.startswith(root):
            subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
