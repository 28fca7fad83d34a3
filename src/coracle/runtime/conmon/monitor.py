"""Starting conmon, and hearing from it how the creation went.

conmon runs `crun create` for us, holds the container's standard streams, writes its log and, at its end, its exit code.
It is our child as long as we live, and goes on when we die.  It tells once, on a pipe that we give it as
_OCI_SYNCPIPE: {"pid": N}, or {"pid": -1, "message": what the runtime said}.

Source: conmon 2.1.6, src/conmon.c, src/cli.c.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import orjson

from coracle.core.errors import Broken, Unavailable
from coracle.linux import pidfd
from coracle.runtime.api import Bundle, Refusal
from coracle.runtime.conmon import waiting
from coracle.runtime.conmon.children import Child, Watched, find
from coracle.runtime.conmon.commands import words
from coracle.runtime.conmon.places import Place


@dataclass(frozen=True, slots=True)
class Binaries:
    """Absolute paths.  `sealed`: where a copy of the runtime's program is to be run instead (see sealing), or ""."""

    conmon: str
    runtime: str
    sealed: str = ""

    @property
    def is_crun(self) -> bool:
        return os.path.basename(self.runtime) == "crun"

    @property
    def program(self) -> str:
        """The runtime's, as it is to be started."""
        return self.sealed or self.runtime

    def runtime_argv(self, root: Path) -> list[str]:
        """How each of its commands begins."""
        return [self.program, f"--root={root}", *(["--cgroup-manager=cgroupfs"] if self.is_crun else [])]


def find_binaries(runtime: str = "") -> Binaries:
    """conmon, and crun where there is one, else runc; or the named one.  Raises Unavailable."""
    for name in (runtime,) if runtime else ("crun", "runc"):
        paths = shutil.which("conmon"), shutil.which(name)
        if paths[0] and paths[1]:
            return Binaries(paths[0], paths[1])
    raise Unavailable(f"conmon and {runtime or 'crun (or runc)'} are needed: apt-get install conmon crun")


def conmon_arguments(binaries: Binaries, place: Place, bundle: Bundle) -> list[str]:
    """argv for conmon.  Pure."""
    argv = [
        binaries.conmon,
        "--sync",  # one fork only: it is our child
        *("--cid", bundle.id, "--cuuid", bundle.id, "--name", bundle.id),
        *("--runtime", binaries.program, f"--runtime-arg=--root={place.runtime_root}"),
        *("--bundle", str(place.bundle), "--container-pidfile", str(place.bundle / "pid")),
        *("--persist-dir", str(place.bundle)),  # where it writes `exit` and `oom`
        "--full-attach",  # its socket in the bundle, however long that path is
        "--no-sync-log",  # no fsync when a container ends: logs are not promises
        *("--log-path", f"k8s-file:{bundle.log_path}" if bundle.log_path else "none"),
    ]
    if binaries.is_crun:
        argv.append("--runtime-arg=--cgroup-manager=cgroupfs")
    if bundle.log_path and bundle.log_limit_bytes:
        argv += ["--log-size-max", str(bundle.log_limit_bytes)]
    if bundle.process.tty:
        argv.append("--terminal")
    if bundle.stdin:
        argv.append("--stdin")
    if not bundle.stdin_once:
        argv.append("--leave-stdin-open")
    return argv


class Creation:
    """A conmon that is creating a container.  Close it in any case."""

    def __init__(self, binaries: Binaries, place: Place, bundle: Bundle) -> None:
        """Starts it.  Raises Broken."""
        self._reader, writer = waiting.pipe()
        os.set_blocking(self._reader, False)
        try:
            self.monitor = Child(
                conmon_arguments(binaries, place, bundle),
                pass_fds=(writer,),
                env={"_OCI_SYNCPIPE": str(writer), "TMPDIR": _short_directory(place)},
                cwd=str(place.bundle),
            )
        except Broken:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)
        place.note_monitor(self.monitor.pid)

    async def pid(self) -> int:
        """Of the waiting first process.  Raises Refusal, Broken."""
        return _created_pid(await _first_line(self._reader))

    def close(self) -> None:
        os.close(self._reader)


def find_monitor(place: Place) -> Watched | None:
    """The conmon that keeps a container since before we started, or None where it has ended."""
    bundle = str(place.bundle)
    noted = find(place.monitor_pid(), bundle)
    if noted is not None:
        return noted
    # We were killed before noting it: the first process is its child, or nothing has been made and it still tries.
    pid = place.pid()
    if pid:
        return find(pidfd.parent(pid), bundle)
    return next((found for found in (find(pid, bundle) for pid in _conmons()) if found is not None), None)


def _conmons() -> list[int]:
    running = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in running if os.path.basename((pidfd.arguments(pid) or ("",))[0]) == "conmon"]


async def _first_line(reader: int) -> bytes:
    """The pipe stays open in conmon, so its end is no sign."""
    said = b""
    while b"\n" not in said:
        piece = waiting.read_nowait(reader)
        if piece is None:
            await waiting.wait_readable(reader)
        elif piece:
            said += piece
        else:
            break
    return said


def _created_pid(said: bytes) -> int:
    try:
        answer = orjson.loads(said.decode(errors="replace"))  # a long reason is cut, if need be within a letter
        pid, message = int(answer["pid"]), str(answer.get("message", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise Broken("the container's monitor ended without a word") from error
    if pid > 0:
        return pid
    if not message:
        raise Broken("the container's monitor gave no reason")
    raise Refusal(message=words(message))


def _short_directory(place: Place) -> str:
    """Where conmon makes the socket for a terminal: a path of 108 bytes at most, so not always below ours."""
    return str(place.run_dir) if len(str(place.run_dir)) < 80 else "/tmp"  # noqa: S108
