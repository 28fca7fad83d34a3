from __future__ import annotations

import pytest

from coracle.core.errors import Conflict, NotFound
from coracle.runtime.api import Refusal
from coracle.runtime.conmon.commands import failure, words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("executable file `x` not found in $PATH\n", "executable file `x` not found in $PATH", id="crun"),
        pytest.param("2026-11-23T09:00:00.123456Z: open `/x`: bad\n", "open `/x`: bad", id="crun with its time"),
        pytest.param(
            'time="2026-11-23T09:00:00Z" level=error msg="runc create failed: exec: \\"x\\": not found"\n',
            'runc create failed: exec: "x": not found',
            id="runc",
        ),
        pytest.param("a warning\nthe error\n", "the error", id="the last line"),
        pytest.param("", "the runtime failed without a word", id="nothing"),
    ],
)
def test_words(said, expected):
    assert words(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("the container `a` is paused", Conflict, id="paused, says crun"),
        pytest.param("exec failed: cannot exec in a paused container", Conflict, id="paused, says runc"),
        pytest.param("the container `a` is not running", Conflict, id="not running"),
        pytest.param("container does not exist", NotFound, id="gone"),
        pytest.param("executable file `x` not found in $PATH: No such file or directory", Refusal, id="no program"),
    ],
)
def test_failure(said, expected):
    assert type(failure("a", said)) is expected
