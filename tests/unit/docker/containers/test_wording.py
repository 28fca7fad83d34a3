from coracle.core.errors import Conflict, Invalid
from coracle.docker.containers.wording import start_failure
from unit.docker.containers.records import record


def test_what_the_runtime_said_in_dockers_words():
    failed = record("failed", argv=["nope"], reason="ContainerCannotRun")
    error = start_failure(failed, Invalid(message="executable file `nope` not found in $PATH"))
    assert str(error) == (
        "failed to create task for container: failed to create shim task: OCI runtime create failed: crun create "
        "failed: unable to start container process: error during container init: "
        'exec: "nope": executable file not found in $PATH: unknown'
    )


def test_what_went_wrong_before_the_runtime_is_told_as_it_is():
    error = Conflict("sandbox x is not ready")
    assert start_failure(record("failed", reason="CreateContainerError"), error) is error
