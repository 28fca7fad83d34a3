import pytest

from coracle.docker.containers.states import NEVER, ago, health, inspected, is_alive, sentence, state
from unit.docker.containers.records import NOW, at, ended, record

CREATED = record("created", ran=(None, None))
FAILED = record("failed", ran=(None, 5.0), exit_code=127, message="no such thing")


@pytest.mark.parametrize(
    ("there", "word", "said", "alive"),
    [
        (CREATED, "created", "Created", False),
        (record(ran=(3.2, None)), "running", "Up 3 seconds", True),
        (record(paused=True), "paused", "Up 10 seconds (Paused)", True),
        (record(life={"Health": {"Status": "starting"}}), "running", "Up 10 seconds (health: starting)", True),
        (record(life={"Health": {"Status": "healthy"}}), "running", "Up 10 seconds (healthy)", True),
        (ended(exit_code=3), "exited", "Exited (3) 1 second ago", False),
        (ended("always", exit_code=3), "restarting", "Restarting (3) 1 second ago", True),
        (ended("always", life={"ManuallyStopped": True}), "exited", "Exited (0) 1 second ago", False),
        (ended("always", made_by=""), "exited", "Exited (0) 1 second ago", False),
        (FAILED, "created", "Created", False),
    ],
)
def test_words_for_each_state(there, word, said, alive):
    assert (state(there), sentence(there, NOW), is_alive(there)) == (word, said, alive)


@pytest.mark.parametrize(
    ("lasted_s", "said"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (800 * 86400, "2 years"),
        (-5, "Less than a second"),
    ],
)
def test_durations_as_people_say_them(lasted_s, said):
    assert ago(lasted_s) == said


def test_inspected_state_of_a_running_one():
    shown = inspected(record(ran=(10.0, None)))
    assert (shown["Status"], shown["Running"], shown["Pid"], shown["FinishedAt"]) == ("running", True, 7, NEVER)
    assert shown["StartedAt"] == at(10)


def test_inspected_state_of_one_that_could_not_start():
    shown = inspected(FAILED)
    assert (shown["Status"], shown["ExitCode"], shown["Error"]) == ("created", 127, "no such thing")
    assert (shown["StartedAt"], shown["FinishedAt"]) == (NEVER, NEVER)


def test_what_could_not_begin_has_a_code_of_its_own():
    assert inspected(ended(exit_code=3, life={"Error": "port is already allocated"}))["ExitCode"] == 128


def test_what_does_not_run_is_not_healthy():
    well = {"Health": {"Status": "healthy"}}
    assert (health(record(life=well)), health(ended(life=well))) == ("healthy", "unhealthy")


def test_no_health_is_none():
    assert health(record()) == "none"
