"""A ConmonRuntime on this machine for tests: a root file system of busybox, its own groups, and nothing left after.

Where the host's cgroups are hybrid the runtime is wrapped so that it sees them as the daemon's home shows them: the
test process itself stays in the namespace it is in.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import coracle
from coracle.core.clock import SystemClock
from coracle.linux import cgroups, namespaces, pidfd
from coracle.runtime.conmon.driver import ConmonRuntime
from coracle.runtime.conmon.monitor import Binaries, find_binaries

APPLETS = ("sh", "sleep", "cat", "echo", "true", "false", "ls", "id", "grep", "mount", "unshare", "mkdir", "stty", "dd",
           "head", "env", "hostname", "mknod", "touch", "ps", "kill", "readlink", "wc", "yes", "chroot", "su", "umask",
           "ip", "test", "cp", "chmod", "printf")  # fmt: skip

_MAKE_HOME = (
    "import sys, pathlib; from coracle.linux.namespaces import enter_home; enter_home(pathlib.Path(sys.argv[1]))"
)


class Machine:
    """Directories and names for one test.  `close` removes whatever is left of it."""

    def __init__(self, directory: Path, runtime: str = "") -> None:
        self.directory = directory
        self.cgroup = f"/cort{os.getpid()}-{directory.name}"
        self.run_dir = directory / "run"
        self.rootfs = directory / "rootfs"
        make_rootfs(self.rootfs)
        self.binaries = seen_as_at_home(directory, find_binaries(runtime))
        self._runtimes: list[ConmonRuntime] = []

    def runtime(self) -> ConmonRuntime:
        made = ConmonRuntime(self.run_dir, self.cgroup, SystemClock(), self.binaries)
        self._runtimes.append(made)
        return made

    def close(self) -> None:
        """Kill what is left, wait until it is gone, remove the groups."""
        for runtime in self._runtimes:
            runtime.close()
        for path in cgroups.children(self.cgroup):
            cgroups.Cgroup(path).thaw()
            cgroups.Cgroup(path).signal_all(signal.SIGKILL)
        for pid in self._monitors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(200):
            if cgroups.Cgroup(self.cgroup).remove():
                break
            time.sleep(0.01)
        while True:  # our own children among them
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    break
            except ChildProcessError:
                break
        namespaces.release_home(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _monitors(self) -> list[int]:
        numbers = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in numbers if any(str(self.run_dir) in text for text in pidfd.arguments(pid))]


def seen_as_at_home(directory: Path, binaries: Binaries) -> Binaries:
    """The runtime as it works in a daemon's home, which is made at `directory`."""
    if cgroups.layout() != "hybrid":
        return binaries
    source = Path(coracle.__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", _MAKE_HOME, directory], check=True, env={**os.environ, "PYTHONPATH": str(source)}
    )
    wrapper = directory / "bin" / os.path.basename(binaries.runtime)
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec nsenter --mount={directory}/mnt -- {binaries.runtime} "$@"\n')
    wrapper.chmod(0o755)
    return Binaries(binaries.conmon, str(wrapper))


def make_rootfs(root: Path) -> None:
    """A root file system of one static busybox."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox, "busybox is needed: apt-get install busybox-static"
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nuser:x:1000:\n")
    (root / "tmp").chmod(0o1777)
