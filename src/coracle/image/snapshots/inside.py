"""Run commands over a throw-away overlay, where whatever they mount or start ends with them.

Building an image from packages means running package scripts as root.  This runs them in a mount and a process
namespace of their own, through a helper process (`python inside.py`): if the daemon dies, everything in here dies, and
no mount is left anywhere.  It keeps accidents in, not attackers: packages come signed from the distribution.

    merged/         the overlay: `lower` under `upper`; `volatile`, since a build that breaks off is thrown away
    merged/proc     of the new process namespace (and /proc itself, for tools that work from outside)
    merged/dev      a fresh one with the harmless devices
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from coracle.linux import mounts

_DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_OPTIONS = {"index": "off", "metacopy": "off", "redirect_dir": "off", "volatile": None}


@dataclass(frozen=True, slots=True)
class Command:
    """`argv`, run with the overlay as its root or, where `outside`, with the machine's root."""

    argv: tuple[str, ...]
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Inside:
    """What to mount at `home`/merged and what to run there, one after the other, until one fails.

    Shape: `home` has the directories upper, work, merged and empty; `lower` is the topmost layer first; `binds` maps
           directories of the machine to absolute paths inside, which must exist by then; `bare` leaves out /dev and
           /proc, for a tool that starts from nothing and brings them along.
    """

    home: str
    commands: tuple[Command, ...]
    lower: tuple[str, ...] = ()
    binds: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False


def run_inside(what: Inside, on_line: Callable[[str], None]) -> int:
    """Run the commands; `on_line` is told each line they say.  The exit status of the last one run.

    Blocks.  Raises what `on_line` raises, after ending the commands.
    """
    with subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", __name__, json.dumps(asdict(what))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**what.env, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    ) as helper:
        try:
            for line in helper.stdout or ():
                on_line(line.decode(errors="replace").rstrip())
        except BaseException:
            helper.kill()
            raise
    return helper.returncode


def _read(text: str) -> Inside:
    doc = json.loads(text)
    commands = tuple(Command(tuple(one["argv"]), one["outside"]) for one in doc.pop("commands"))
    return Inside(commands=commands, **doc)


def main() -> None:
    """The helper: make the namespaces, then be the parent of their first process."""
    what = _read(sys.argv[1])
    mounts.end_with_parent()
    os.environ.pop("PYTHONPATH", None)
    mounts.own_namespace(mounts.CLONE_NEWPID | mounts.CLONE_NEWIPC)
    home = Path(what.home)
    lower = [Path(path) for path in what.lower] or [home / "empty"]
    mounts.overlay(home / "merged", lower, upper=home / "upper", work=home / "work", options=_OPTIONS)
    first = os.fork()
    if first == 0:
        os._exit(_first_process(what))
    _, status = os.waitpid(first, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _first_process(what: Inside) -> int:
    """Process 1 of the new namespace: when it ends, the kernel ends all others in it."""
    mounts.end_with_parent()
    merged = Path(what.home) / "merged"
    mounts.mount("proc", Path("/proc"), flags=mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC)
    if not what.bare:
        _make_devices(merged)
        mounts.mount("proc", merged / "proc", flags=mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC)
    for source, target in what.binds.items():
        mounts.bind(Path(source), merged / target.lstrip("/"))
    for command in what.commands:
        status = _run(command, merged)
        if status:
            return status
    return 0


def _run(command: Command, merged: Path) -> int:
    argv = command.argv if command.outside else ("chroot", str(merged), *command.argv)
    process = subprocess.Popen(argv, cwd="/")
    while True:  # adopt and bury what the command leaves behind
        pid, status = os.wait()
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return abs(process.returncode)


def _make_devices(merged: Path) -> None:
    dev = merged / "dev"
    mounts.mount("tmpfs", dev, flags=mounts.MS_NOSUID | mounts.MS_NOEXEC, data="mode=755,size=1m")
    os.umask(0)
    for name, minor in _DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    os.mknod(dev / "tty", stat.S_IFCHR | 0o666, os.makedev(5, 0))
    os.umask(0o022)
    for name, target in _LINKS.items():
        os.symlink(target, dev / name)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    mounts.mount("devpts", dev / "pts", data="newinstance,ptmxmode=0666,mode=620,gid=5")
    mounts.mount("tmpfs", dev / "shm", flags=mounts.MS_NOSUID | mounts.MS_NODEV, data="mode=1777")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
