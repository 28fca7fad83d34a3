"""Run an image's snapshot with crun by hand: just enough of a runtime to see that an image behaves."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

# Docker's 14, so that images are tried under what they get.
CAPABILITIES = [
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
]  # fmt: skip
MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"]},
]  # fmt: skip
# crun 1.8 wants no version 2 hierarchy beside version 1: see reference/stack.md, section 6
_CRUN = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"', "crun"]


def bundle(home: Path, rootfs: Path, settings, args=(), *, own_network=True) -> Path:
    """A bundle that runs `args` (or the image's own command) in `rootfs`."""
    kinds = ["pid", "ipc", "uts", "mount", *(["network"] if own_network else [])]
    argv = [*settings.entrypoint, *(args or settings.cmd)]
    sets = ("bounding", "permitted", "effective")
    dns = {"destination": "/etc/resolv.conf", "type": "bind", "source": "/etc/resolv.conf", "options": ["bind", "ro"]}
    doc = {
        "ociVersion": "1.0.2",
        "root": {"path": str(rootfs)},
        "process": {
            "cwd": settings.workdir or "/",
            "args": argv,
            "env": list(settings.env),
            "user": {"uid": 0, "gid": 0},
            "capabilities": dict.fromkeys(sets, CAPABILITIES),
        },
        "mounts": MOUNTS if own_network else [*MOUNTS, dns],
        "linux": {"namespaces": [{"type": kind} for kind in kinds]},
    }
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps(doc))
    return home


def run(bundle: Path, name: str) -> subprocess.CompletedProcess:
    """Run to the end; output of both streams."""
    argv = [*_CRUN, f"--root={bundle}/state", "run", f"--bundle={bundle}", name]
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


class Server:
    """A container that goes on: its process id, its output so far, its end."""

    def __init__(self, bundle: Path, name: str) -> None:
        self._bundle, self._name = bundle, name
        self._log = bundle / "log"
        argv = [*_CRUN, f"--root={bundle}/state", "run", f"--pid-file={bundle}/pid", f"--bundle={bundle}", name]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.pid = int(self._wait(self._read_pid))

    def _read_pid(self):
        found = self._bundle / "pid"
        return (found.read_text() or None) if found.exists() else None

    def _wait(self, ask):
        """What `ask` says once it says something but None; the container must be alive until then."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if (answer := ask()) is not None:
                return answer
            assert self._process.poll() is None, self.log()
            time.sleep(0.01)
        raise AssertionError(f"waited in vain: {self.log()}")

    def log(self) -> str:
        return self._log.read_text()

    def wait_log(self, text: str) -> None:
        self._wait(lambda: text in self.log() or None)

    def inside(self, *argv: str) -> str:
        """Run a program of the machine in the container's network, once it succeeds; its output."""
        enter = ["nsenter", f"--net=/proc/{self.pid}/ns/net", *argv]

        def ask():
            ended = subprocess.run(enter, capture_output=True, text=True, check=False)
            return ended.stdout if ended.returncode == 0 else None

        return self._wait(ask)

    def users(self) -> set[int]:
        """The users that its processes run as."""
        found = set()
        for pid in self._pids(self.pid):
            with contextlib.suppress(FileNotFoundError):
                found.add(os.stat(f"/proc/{pid}").st_uid)
        return found

    def _pids(self, pid):
        yield pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from self._pids(int(child))

    def stop(self, signal: int) -> int:
        """Send `signal` to the first process; the exit status."""
        os.kill(self.pid, signal)
        return self._process.wait(timeout=30)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)
        self._process.wait(timeout=30)
