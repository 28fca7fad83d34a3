"""Why a container cannot be started, in the words that Docker's clients look for.

The client's own exit code comes from them: 127 with "not found", 126 with "permission denied", else 125.
Source: docker/cli command/container/run.go (toStatusError); the messages of dockerd over an OCI runtime.
"""

from __future__ import annotations

from coracle.core.errors import CloudError, Invalid
from coracle.core.object import Object
from coracle.docker.unstartable import unstartable

_TASK = "failed to create task for container: failed to create shim task: OCI runtime create failed"
_INIT = "unable to start container process: error during container init"


def start_failure(record: Object, error: CloudError) -> CloudError:
    """What to say for `error`; `record` is as the engine left it."""
    if record.status.get("reason") != "ContainerCannotRun":
        return error
    program = (record.spec["argv"] or [""])[0]
    _, said = unstartable(program, str(error))
    return Invalid(message=f"{_TASK}: crun create failed: {_INIT}: {said}", kind="Container")
