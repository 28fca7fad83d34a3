from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from coracle.runtime.conmon import sealing


@pytest.fixture
def memory():
    made = sealing.seal("/bin/true")
    assert made is not None
    yield made
    os.close(made)


def test_a_sealed_program_is_the_same_and_runs(memory):
    assert Path(sealing.path_of(memory)).read_bytes() == Path("/bin/true").read_bytes()
    assert subprocess.run([sealing.path_of(memory)], check=False).returncode == 0


def test_nobody_can_write_to_it(memory):
    with pytest.raises(OSError, match="not permitted") as caught:
        os.write(memory, b"x")
    assert caught.value.errno == errno.EPERM
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(memory, 0)


@pytest.mark.parametrize("content", [None, b"#!/bin/sh\n", b""])
def test_what_is_no_program_by_itself_is_used_as_it_is(tmp_path, content):
    path = tmp_path / "crun"
    if content is not None:
        path.write_bytes(content)
    assert sealing.seal(str(path)) is None
