"""Processes in namespaces of their own, which wait there until somebody has seen to them.

What a thread of ours cannot make and leave again: user namespaces, and other namespaces that belong to one.

Source: unshare(1), nsenter(1); user_namespaces(7).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def command(users_path: str, *options: str) -> list[str]:
    """The beginning of a command line: what follows runs in new namespaces, which belong to the user namespace that is
    pinned at `users_path` ("": the host's)."""
    inside = ["nsenter", f"--user={users_path}"] if users_path else []
    return [*inside, "unshare", *options]


@contextmanager
def waiting(*options: str, users_path: str = "") -> Iterator[int]:
    """The number of a process in new namespaces (`--user`, `--net`, `--ipc`), which ends with the body.

    Raises: OSError.
    """
    script = "echo; exec cat"
    with subprocess.Popen(
        [*command(users_path, *options), "sh", "-c", script],
        cwd="/",
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        if process.stdout is None or not process.stdout.readline():
            raise OSError(f"new namespaces cannot be made: {_complaint(process, options)}")
        yield process.pid


def _complaint(process: subprocess.Popen[bytes], options: Sequence[str]) -> str:
    said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
    return said or f"unshare {' '.join(options)} ended without a word"
