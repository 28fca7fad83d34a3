"""Whether there is a program for an `exec` at all, seen before the runtime is asked.

The runtime would find out inside, in a process that it leaves to the machine's init: until that has reaped it, which
some take seconds for, the container cannot end.  It is asked wherever the answer is not certain.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from coracle.linux.rooted import open_in_root

_OUR_OWN = ("/proc/", "/dev/")  # where links lead depends on who follows them


def missing(pid: int, program: str, env: Sequence[str]) -> str:
    """In the root of process `pid`: what the runtime would say of a `program` that is certainly not there, else "".

    Blocking.  Source: crun 1.8.1, src/libcrun/utils.c, `find_executable`.
    """
    if program.startswith("/"):
        paths = [program]
    else:
        searched = [directory for value in env if value.startswith("PATH=") for directory in value[5:].split(":")]
        if "/" in program or not program or not all(directory.startswith("/") for directory in searched):
            return ""
        paths = [f"{directory}/{program}" for directory in searched]
    if not paths or any(path.startswith(_OUR_OWN) for path in paths):
        return ""
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if any(_may_be(root, path) for path in paths):
            return ""
    finally:
        os.close(root)
    return f"executable file `{program}` not found in $PATH: {os.strerror(errno.ENOENT)}"


def _may_be(root: int, path: str) -> bool:
    try:
        os.close(open_in_root(root, path, os.O_PATH))
    except OSError as error:
        return error.errno != errno.ENOENT
    return True
