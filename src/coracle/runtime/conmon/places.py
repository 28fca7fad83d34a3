"""What a container has on disk: one directory below `<run dir>/bundles`, on a file system that a reboot empties.

    config.json   what the runtime was given
    pid           of the first process, written by the runtime when it is created
    monitor       pid of the conmon that keeps it, written by us
    log           the path of its log, written by us; empty without one
    exit          its exit code, written by conmon at its end; the file's time is the moment
    oom           exists when the kernel has killed in it for memory, written by conmon
    attach, ctl, winsz   conmon's socket and pipes

The runtime's own state is in `<run dir>/runtime/<id>`; of it only the pipe `exec.fifo` is looked at, which is there
between create and start (crun and runc alike).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one container.  Paths are texts; nothing is cached."""

    id: str
    run_dir: Path

    @property
    def bundle(self) -> Path:
        return self.run_dir / "bundles" / self.id

    @property
    def runtime_root(self) -> Path:
        return self.run_dir / "runtime"

    @property
    def start_pipe(self) -> Path:
        return self.runtime_root / self.id / "exec.fifo"

    def make(self, config: Mapping[str, Any], log_path: str) -> None:
        """Raises FileExistsError."""
        self.bundle.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.bundle.mkdir(mode=0o700)
        (self.bundle / "config.json").write_bytes(orjson.dumps(config))
        (self.bundle / "log").write_text(log_path)

    def remove(self) -> None:
        """Take everything away, the runtime's state too."""
        shutil.rmtree(self.runtime_root / self.id, ignore_errors=True)
        shutil.rmtree(self.bundle, ignore_errors=True)

    def cgroup(self) -> str:
        """The path of its control group; "" where we were killed before the runtime was given one."""
        with contextlib.suppress(FileNotFoundError, orjson.JSONDecodeError):
            return str(orjson.loads((self.bundle / "config.json").read_bytes())["linux"]["cgroupsPath"])
        return ""

    def note_monitor(self, pid: int) -> None:
        (self.bundle / "monitor").write_text(str(pid))

    def monitor_pid(self) -> int:
        """0 where we were killed before noting it."""
        return self._number("monitor") or 0

    def pid(self) -> int:
        """Of the first process; 0 before it was created."""
        return self._number("pid") or 0

    def log_path(self) -> str:
        """ "" where it keeps none."""
        with contextlib.suppress(FileNotFoundError):
            return (self.bundle / "log").read_text()
        return ""

    def exit(self) -> tuple[int, float] | None:
        """(code, when: seconds since 1970), or None while it has not ended."""
        code = self._number("exit")
        if code is None:
            return None
        return code, (self.bundle / "exit").stat().st_mtime

    def was_oom_killed(self) -> bool:
        return (self.bundle / "oom").exists()

    def _number(self, name: str) -> int | None:
        try:
            text = (self.bundle / name).read_text().strip()
        except OSError:
            return None
        return int(text) if text.lstrip("-").isdigit() else None


def places(run_dir: Path) -> Iterator[Place]:
    """Every container there is, in order of id."""
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(run_dir / "bundles")):
            yield Place(name, run_dir)
