import pytest

from coracle.core.errors import Malformed
from coracle.docker.containers.plans import Nothing, Remove, Rest, Restart, delay_s, is_deadly, plan, restarted
from unit.docker.containers.records import NOW, ended, record


@pytest.mark.parametrize(
    ("there", "due"),
    [
        (record("running"), Nothing()),
        (record("created", ran=(None, None)), Rest()),
        (record("created", ran=(None, None), host={"AutoRemove": True}), Rest()),
        (record("failed", ran=(None, 1.0)), Rest()),
        (record("failed", ran=(None, 1.0), host={"RestartPolicy": {"Name": "always"}}), Rest()),
        (ended(), Rest()),
        (ended(made_by=""), Nothing()),
        (ended(host={"AutoRemove": True}), Remove()),
        (ended("always"), Restart(0.0)),
        (ended("unless-stopped"), Restart(0.0)),
        (ended("always", life={"ManuallyStopped": True}), Rest()),
        (ended("on-failure"), Rest()),
        (ended("on-failure", exit_code=1), Restart(0.0)),
        (ended("on-failure", most=2, exit_code=1, life={"RestartCount": 1, "Backoff": 1}), Restart(0.0)),
        (ended("on-failure", most=2, exit_code=1, life={"RestartCount": 2}), Rest()),
    ],
)
def test_what_is_due(there, due):
    assert plan(there, NOW) == due


def test_a_restart_waits_for_its_time():
    due = plan(ended("always", ran=(0.25, 0.125)), NOW)
    assert due == Restart(0.0)
    due = plan(ended("always", life={"Backoff": 1}, ran=(0.25, 0.125)), NOW)
    assert due == Restart(pytest.approx(0.075))


def test_delays_double_up_to_a_minute():
    rows = [delay_s(ended("always", life={"Backoff": row})) for row in range(12)]
    assert rows == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]


def test_a_run_of_ten_seconds_ends_the_row():
    lasting = ended("always", ran=(11.5, 1.0), life={"Backoff": 9, "RestartCount": 9})
    assert delay_s(lasting) == 0.1
    assert restarted(lasting) == {"RestartCount": 10, "Backoff": 1}
    brief = ended("always", ran=(10.5, 1.0), life={"Backoff": 9, "RestartCount": 9})
    assert delay_s(brief) == 51.2
    assert restarted(brief) == {"RestartCount": 10, "Backoff": 10}


@pytest.mark.parametrize(
    ("signal", "stop_signal", "deadly"),
    [("KILL", "SIGTERM", True), ("9", "SIGQUIT", True), ("TERM", "SIGTERM", True), ("HUP", "SIGTERM", False),
     ("TERM", "SIGQUIT", False), ("SIGQUIT", "QUIT", True)],
)  # fmt: skip
def test_which_signals_mean_the_end(signal, stop_signal, deadly):
    assert is_deadly(record(stop_signal=stop_signal), signal) is deadly


def test_no_such_signal():
    with pytest.raises(Malformed, match="invalid signal: FISH"):
        is_deadly(record(), "FISH")
