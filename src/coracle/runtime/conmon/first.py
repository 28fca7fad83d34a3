"""The first process of a container: letting it go, and signalling it, by system calls instead of the runtime's command.

Source: crun 1.8.1, status.c, `libcrun_status_write_exec_fifo`.
"""

from __future__ import annotations

import os

from coracle.core.errors import Conflict
from coracle.linux import pidfd
from coracle.runtime.conmon.children import Watched
from coracle.runtime.conmon.places import Place


def let_go(place: Place) -> None:
    """What `crun start` does: one byte into the pipe at which the first process waits."""
    try:
        pipe = os.open(place.start_pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:  # ENXIO: nobody waits there any more; ENOENT: somebody was quicker
        raise Conflict(f"container {place.id} is not waiting to be started", kind="Container", name=place.id) from error
    try:
        os.unlink(place.start_pipe)
        os.write(pipe, b"\0")
    finally:
        os.close(pipe)


def signal_first(place: Place, monitor: Watched | None, number: int) -> bool:
    """Signal the first process if it lives: a number may be a stranger's by now, unless the monitor is its parent."""
    pid = place.pid()
    fd = pidfd.find(pid) if pid > 0 else None
    if fd is None:
        return False
    try:
        return monitor is not None and pidfd.parent(pid) == monitor.pid and pidfd.send(fd, number)
    finally:
        os.close(fd)
