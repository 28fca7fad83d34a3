import pytest

from coracle.docker.containers.checks import Check, Condition, check_of, pause_s
from unit.docker.containers.records import record

CHECK = Check(("true",), interval_s=10, retries=3)
STARTING, HEALTHY = Condition(), Condition("healthy")


def of(**check):
    return check_of(
        record(config={"Healthcheck": check, **({"Shell": ["/bin/bash", "-c"]} if check.pop("s", 0) else {})})
    )


def test_what_is_looked_at():
    assert of(Test=["CMD", "curl", "x"]).argv == ("curl", "x")
    assert of(Test=["CMD-SHELL", "curl x"]).argv == ("/bin/sh", "-c", "curl x")
    assert of(Test=["CMD-SHELL", "curl x"], s=1).argv == ("/bin/bash", "-c", "curl x")
    assert of(Test=["NONE"]) is None
    assert of(Test=[]) is None
    assert check_of(record()) is None
    check = of(Test=["CMD", "x"], Interval=2 * 10**9, Timeout=10**9, StartPeriod=5 * 10**9, Retries=1)
    assert (check.interval_s, check.timeout_s, check.start_period_s, check.retries) == (2, 1, 5, 1)
    assert (of(Test=["CMD", "x"]).interval_s, of(Test=["CMD", "x"]).retries) == (30, 3)


def test_failures_do_not_count_while_it_starts():
    assert STARTING.after(False, CHECK, 3.0) == STARTING
    assert STARTING.after(False, CHECK, 10.0) == Condition("starting", 1)
    patient = Check(("true",), interval_s=10, start_period_s=60)
    assert STARTING.after(False, patient, 59.0) == STARTING
    assert HEALTHY.after(False, patient, 20.0).streak == 1  # once it was healthy, they do


def test_unhealthy_after_three_and_healthy_after_one():
    condition = HEALTHY
    for streak in (1, 2):
        condition = condition.after(False, CHECK, 100.0)
        assert condition == Condition("healthy", streak)
    condition = condition.after(False, CHECK, 100.0)
    assert condition == Condition("unhealthy", 3)
    assert condition.after(True, CHECK, 100.0) == HEALTHY


@pytest.mark.parametrize(
    ("condition", "looks", "since_start_s", "pause"),
    [
        (STARTING, 1, 0.0, 0.1),
        (STARTING, 2, 0.1, pytest.approx(0.15)),
        (STARTING, 3, 0.3, pytest.approx(0.225)),
        (STARTING, 30, 4.0, 6.0),  # so that the first one that counts is where Docker's is
        (STARTING, 30, 9.99, 0.1),
        (STARTING, 31, 10.1, 10),
        (HEALTHY, 1, 0.1, 10),
    ],
)
def test_pauses_are_short_at_first(condition, looks, since_start_s, pause):
    assert pause_s(CHECK, condition, looks, since_start_s) == pause


def test_a_start_interval_is_obeyed():
    check = Check(("true",), interval_s=30, start_period_s=60, start_interval_s=2)
    assert pause_s(check, STARTING, 9, 20.0) == 2
    assert pause_s(check, STARTING, 9, 61.0) == 30
