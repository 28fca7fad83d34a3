"""Noticing that a peer is gone after it has closed its sending side.

asyncio stops watching a connection for input at its end, and then learns of the peer's disappearance only when it next
writes, which a quiet stream may never do.  epoll always reports a hang-up, even for a socket registered for no event;
an epoll file can itself be watched by the loop.  Used only for connections in that state: one file each.

Source: epoll_ctl(2), EPOLLHUP; a unix socket hangs up when both sides are closed, a TCP one also when it is reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import Callable


def watch_hangup(fd: int, gone: Callable[[], None]) -> Callable[[], None]:
    """Call `gone` once when the peer of socket `fd` hangs up.

    Returns what ends the watch.  The watch must end before `fd` is closed.
    """
    loop = asyncio.get_running_loop()
    watcher = select.epoll()
    watcher.register(fd, 0)

    def stop() -> None:
        if not watcher.closed:
            loop.remove_reader(watcher.fileno())
            with contextlib.suppress(OSError):
                watcher.unregister(fd)
            watcher.close()

    def fire() -> None:
        stop()
        gone()

    loop.add_reader(watcher.fileno(), fire)
    return stop
