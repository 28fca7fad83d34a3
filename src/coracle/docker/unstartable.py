"""Why a program cannot be started, in the words that Docker's clients know, and the code that goes with it.

    exec: "nope": executable file not found in $PATH: unknown      127
    exec: "/etc/passwd": permission denied: unknown                126

Source: moby daemon/errors.go (translateContainerdStartErr); runc's messages.
"""

from __future__ import annotations

_REASONS = (
    ("not found in $path", "", 127),
    ("no such file", "", 127),
    ("permission denied", "permission denied", 126),
    ("operation not permitted", "permission denied", 126),
    ("exec format", "exec format error", 126),
    ("is a directory", "is a directory", 126),
)


def unstartable(program: str, said: str, otherwise: int = 128) -> tuple[int, str]:
    """(exit code, words) for what the runtime said when it was to run `program`; `otherwise`: for anything else."""
    if not program:
        return 127, f'exec: "": {_missing(program)}: unknown'
    for word, reason, code in _REASONS:
        if word in said.lower() and "exec" in said.lower():  # what is missing may be a mount's source, or a directory
            return code, f'exec: "{program}": {reason if code != 127 else _missing(program)}: unknown'
    return otherwise, f"{said}: unknown"


def _missing(program: str) -> str:
    return f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
