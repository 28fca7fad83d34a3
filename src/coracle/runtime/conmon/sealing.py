"""The runtime's program as sealed memory: nobody can write to it, so it does not copy itself before each use.

A container that is root and can open its runtime's program (/proc/self/exe) could overwrite the host's (CVE-2019-5736).
crun therefore shows itself to containers only as a copy that cannot be written, made anew at every start: a temporary
file, two mounts, a second execution with all its libraries.  Started from sealed memory it sees that this is done.

Source: crun 1.8.1, cloned_binary.c, `is_self_cloned`; memfd_create(2), fcntl(2) "File Sealing".
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os

log = logging.getLogger(__name__)

_MFD_EXEC = 0x10  # Linux 6.3; before, memory could always be executed
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_ELF = b"\x7fELF"


def seal(program: str) -> int | None:
    """A descriptor of a sealed copy; None where this kernel forbids that, or the program is a script.  Blocks."""
    try:
        with open(program, "rb", buffering=0) as file, contextlib.ExitStack() as undo:
            if file.read(len(_ELF)) != _ELF:
                return None
            memory = _executable_memory(os.path.basename(program))
            undo.callback(os.close, memory)
            file.seek(0)
            while os.sendfile(memory, file.fileno(), None, 1 << 30):
                pass
            os.fchmod(memory, 0o555)
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
            undo.pop_all()
            return memory
    except OSError as error:
        log.info("%s is used as it is: %s", program, error)
        return None


def path_of(memory: int) -> str:
    """Where others find it, as long as this process lives."""
    return f"/proc/{os.getpid()}/fd/{memory}"


def _executable_memory(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError:
        return os.memfd_create(name, flags)
