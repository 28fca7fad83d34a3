"""Which versions of what."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib import metadata

PROGRAMS = {"crun": ["crun", "--version"], "runc": ["runc", "--version"], "conmon": ["conmon", "--version"],
            "nft": ["nft", "--version"], "kubectl": ["kubectl", "version", "--client"]}  # fmt: skip


def versions() -> dict[str, str]:
    """Name -> version; "-" where a program is not there."""
    found = {"coracle": metadata.version("coracle"), "python": platform.python_version(), "kernel": platform.release()}
    return found | {name: program_version(command) for name, command in PROGRAMS.items()}


def program_version(command: list[str]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except OSError:
        return "-"
    number = re.search(r"\d+\.\d+[\w.+-]*", said)
    return number[0] if number else "?"
