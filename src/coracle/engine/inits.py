"""The small first process of containers that ask for one (Docker's --init): it reaps, and hands signals on."""

from __future__ import annotations

import functools
import os

from coracle.core.errors import Unavailable
from coracle.runtime.api import Mount

TARGET = "/sbin/docker-init"
_PATHS = ("/usr/bin/tini-static", "/usr/bin/docker-init", "/usr/bin/catatonit")  # each one static


@functools.cache
def find_init() -> str:
    """Its path on this host.  Raises Unavailable."""
    for path in _PATHS:
        if os.access(path, os.X_OK):
            return path
    raise Unavailable("a container cannot have an init process: install tini (or catatonit) on the host")


def mount_of(path: str) -> Mount:
    """The program at TARGET, whatever the image has there."""
    return Mount(target=TARGET, source=path, options=("bind", "rprivate"), read_only=True)


def wrapped(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command line with the init in front."""
    return (TARGET, "--", *argv)
