import pytest

from coracle.core.object import Meta, Object
from coracle.engine.states import Adoption, failed, is_stale, plan_adoption
from coracle.runtime.api import Exit, Refusal, State


def record(state, **status):
    return Object("Container", Meta(name="c"), {"status": {"state": state, **status}}, "engine/v1")


@pytest.mark.parametrize(
    ("said", "present", "expected"),
    [
        pytest.param("running", "running", Adoption("c", "keep", 7), id="it runs on"),
        pytest.param("running", "stopped", Adoption("c", "keep", 7), id="it has ended: its exit will be told"),
        pytest.param("running", None, Adoption("c", "lost"), id="the machine was restarted"),
        pytest.param("running", "created", Adoption("c", "lost", 7), id="it never ran"),
        pytest.param("created", None, None, id="only journaled"),
        pytest.param("created", "created", Adoption("c", "undo"), id="half started"),
        pytest.param("created", "running", Adoption("c", "started", 7), id="started, not yet said"),
        pytest.param("created", "stopped", Adoption("c", "keep", 7), id="started and ended, not yet said"),
        pytest.param("exited", None, None, id="ended and cleared away"),
        pytest.param("exited", "stopped", Adoption("c", "undo"), id="ended, not yet cleared away"),
        pytest.param("exited", "running", Adoption("c", "undo"), id="started anew, never acknowledged"),
        pytest.param("failed", "created", Adoption("c", "undo"), id="failed, not yet undone"),
    ],
)
def test_plan_adoption(said, present, expected):
    states = {"c": State("c", present, 7)} if present else {}
    assert plan_adoption([record(said)], states) == ([expected] if expected else [])


def test_what_has_no_record_is_an_orphan():
    assert plan_adoption([], {"x": State("x", "running", 7)}) == [Adoption("x", "orphan")]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("executable file `x` not found in $PATH: No such file or directory", 127),
        ("exec /x: Permission denied", 126),
        ("exec format error", 126),
        ('error gathering device information while adding custom device "/dev/x": no such file or directory', 128),
        ("something else", 128),
    ],
)
def test_the_code_of_what_cannot_be_run(message, code):
    assert failed(record("created"), Refusal(message=message), 0).status["exit_code"] == code


@pytest.mark.parametrize(("at_s", "stale"), [(0.0, True), (99.8, True), (99.95, False), (200, False)])
def test_only_older_exits_are_stale(at_s, stale):
    assert is_stale(record("running", started_at="1970-01-01T00:01:40.000000Z"), Exit("c", 0, at_s)) is stale
