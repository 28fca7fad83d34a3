"""Why a container cannot be started, in the words that Docker's clients look for.

The client's own exit code comes from them: 127 with "not found", 126 with "permission denied", else 125.
Source: docker/cli command/container/run.go (toStatusError); the messages of dockerd over an OCI runtime.
"""

from __future__ import annotations

from coracle.core.errors import CloudError, Invalid
from coracle.core.object import Object

_TASK = "failed to create task for container: failed to create shim task: OCI runtime create failed"
_INIT = "unable to start container process: error during container init"
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def start_failure(record: Object, error: CloudError) -> CloudError:
    """What to say for `error`; `record` is as the engine left it."""
    if record.status.get("reason") != "ContainerCannotRun":
        return error
    said = _why(record, error)
    return Invalid(message=f"{_TASK}: crun create failed: {_INIT}: {said}: unknown", kind="Container")


def _why(record: Object, error: CloudError) -> str:
    program, code = (record.spec["argv"] or [""])[0], record.status.get("exit_code")
    words = str(error)
    if code == _NOT_FOUND and "cwd" not in words:
        absent = f"stat {program}: no such file or directory"
        reason = absent if "/" in program else "executable file not found in $PATH"
        return f'exec: "{program}": {reason}'
    if code == _NOT_EXECUTABLE and "exec" in words:
        reason = "exec format error" if "format" in words.lower() else "permission denied"
        return f'exec: "{program}": {reason}'
    return words
