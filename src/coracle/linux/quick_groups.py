"""Letting processes move between control groups without a wait: the kernel's option `favordynmods`.

Every container's first process is moved into its groups.  As long as nobody has asked for that option, the first such
move after a pause waits for an RCU grace period, 8 to 13 ms: the largest single piece of a container's start.  With it
moves cost microseconds, and each fork and exit on the machine some nanoseconds more.

The option belongs to the version 2 hierarchy, which every kernel has, and it holds for version 1 as well.  It is set by
mounting that hierarchy once more, with the options that it has already; the mount goes at once, the option stays until
the machine is started anew or somebody takes it back in the same way.  A file remembers that it was us (`take_back`).

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst, "favordynmods" (Linux 6.0).
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from coracle.linux import mounts

log = logging.getLogger(__name__)

_OPTION = "favordynmods"


def make_moves_quick(mark: Path) -> None:
    """Set the option, if nobody has, and remember in `mark` that we did.

    For a process in a mount namespace of its own.  Where the kernel refuses, everything works, only later.
    """
    options = _options()
    if _OPTION in options:
        return
    mark.touch()
    try:
        _set([*options, _OPTION])
    except OSError as error:
        mark.unlink()
        log.info("moves between control groups stay slow: %s", error)


def take_back(mark: Path) -> None:
    """Undo `make_moves_quick`, if it was us who set the option.  Raises OSError."""
    if mark.exists():
        _set([option for option in _options() if option != _OPTION])
        mark.unlink()


def _options() -> list[str]:
    return options_of_version2(Path("/proc/self/mountinfo").read_text().splitlines())


def _set(options: Iterable[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        mounts.mount("cgroup2", Path(place), data=",".join(options))
        with contextlib.suppress(OSError):
            mounts.unmount(Path(place))


def options_of_version2(mountinfo: Iterable[str]) -> list[str]:
    """The options of the version 2 hierarchy itself, as /proc/<pid>/mountinfo tells them; empty: it is not mounted.

    They are in each of its lines, behind the type and the source: "... - cgroup2 cgroup2 rw,nsdelegate".
    """
    for line in mountinfo:
        kind, _, rest = line.partition(" - ")[2].partition(" ")
        if kind == "cgroup2":
            return [option for option in rest.rpartition(" ")[2].split(",") if option not in ("rw", "ro")]
    return []
