"""In this process's own root, where some programs are and others are not."""

import os
import sys

import pytest

from coracle.runtime.conmon.programs import missing

HERE, PYTHON = os.path.split(os.path.realpath(sys.executable))


@pytest.mark.parametrize(
    ("program", "env"),
    [
        (f"{HERE}/{PYTHON}", ()),
        (PYTHON, (f"PATH=/nowhere:{HERE}",)),
        (PYTHON, ("PATH=/nowhere", f"PATH={HERE}")),
        ("nothing-of-the-name", ()),
        ("nothing-of-the-name", ("PATH=/nowhere:",)),
        ("./nothing-of-the-name", ("PATH=/nowhere",)),
        ("/proc/nothing-of-the-name", ()),
        ("/etc/passwd/nothing-of-the-name", ()),
        ("", ("PATH=/nowhere",)),
    ],
)
def test_a_program_that_is_there_or_may_be_is_not_missing(program, env):
    assert missing(os.getpid(), program, env) == ""


@pytest.mark.parametrize("program", ["nothing-of-the-name", "/nothing-of-the-name"])
def test_a_program_that_is_certainly_not_there_is_missing(program):
    said = missing(os.getpid(), program, (f"PATH={HERE}:/nowhere",))
    assert said == f"executable file `{program}` not found in $PATH: No such file or directory"


def test_nothing_is_known_of_a_process_that_is_gone():
    assert missing(2**22 + 1, "/nothing-of-the-name", ()) == ""
