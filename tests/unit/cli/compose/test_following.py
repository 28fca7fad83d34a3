"""What is found of containers whose events come late: their answers come by connections of their own, in any order."""

import io
import json
import queue
import threading

import pytest

from coracle.cli.compose.following import Ended, Following
from coracle.cli.compose.printing import Printer

BEGAN_S = 1_800_000_000.0
STARTED_AT = "2027-01-15T08:00:01.5Z"
LABELS = {
    "com.docker.compose.project": "p",
    "com.docker.compose.service": "short",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
    "com.docker.compose.config-hash": "x",
}


class Answer(io.BytesIO):
    headers = {"Content-Type": ""}


class Events:
    """A stream of events that are written when the test says so."""

    def __init__(self):
        self._lines = queue.SimpleQueue()

    def say(self, action, **attributes):
        actor = {"ID": "c1", "Attributes": {**LABELS, **attributes}}
        self._lines.put(json.dumps({"Action": action, "Actor": actor}).encode() + b"\n")

    def __iter__(self):
        return iter(self._lines.get, b"")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class OneContainer:
    """Docker's side with one container of the project, in a state that the test sets."""

    def __init__(self):
        self.state, self.events = {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z", "ExitCode": 0}, Events()
        self.listed = threading.Event()

    def end(self, exit_code, started_at=STARTED_AT):
        self.state = {"Status": "exited", "StartedAt": started_at, "FinishedAt": started_at, "ExitCode": exit_code}

    def call(self, _method, path, _query=None):
        if path == "/containers/json":
            found = [{"Id": "c1", "Names": ["/p-short-1"], "State": self.state["Status"], "Labels": LABELS}]
            self.listed.set()
            return found
        return {"State": self.state, "Config": {"Labels": LABELS}, "Name": "/p-short-1"}

    def read(self, _method, path, _query=None):
        return self.events if path == "/events" else Answer(b"a word\n")


def a_following(docker, declared, services=frozenset({"short"})):
    told, said = queue.SimpleQueue(), io.BytesIO()
    following = Following(
        docker,
        "p",
        Printer(colour=False, out=said, err=said),
        services,
        told_since_s=BEGAN_S,
        on_end=told.put,
        expects_more=lambda: not declared.is_set(),
    )
    thread = threading.Thread(target=following.run, daemon=True)
    thread.start()
    return following, thread, told, said


def test_what_ran_before_all_was_declared_is_told_though_its_events_are_on_their_way():
    docker, declared = OneContainer(), threading.Event()
    following, thread, told, said = a_following(docker, declared)
    assert docker.listed.wait(30)  # while it was only made
    docker.end(3)
    declared.set()
    following.look_again()
    assert told.get(timeout=30) == Ended("short-1", "short", 3)
    thread.join(30)
    assert not thread.is_alive()
    assert b"short-1  | a word\n" in said.getvalue()


def test_what_was_told_is_not_told_again_when_its_events_come():
    docker, declared = OneContainer(), threading.Event()
    docker.end(3)
    following, thread, told, said = a_following(docker, declared)
    assert told.get(timeout=30) == Ended("short-1", "short", 3)
    docker.events.say("start")
    docker.events.say("die", exitCode="3")
    docker.end(4, STARTED_AT.replace("01.5", "07.5"))
    docker.events.say("start")
    assert told.get(timeout=30) == Ended("short-1", "short", 4)
    docker.events.say("start")
    declared.set()
    following.look_again()
    thread.join(30)
    assert not thread.is_alive()
    assert told.empty()
    assert said.getvalue().count(b"exited with code") == 2


class SlowLog(OneContainer):
    """The first log comes when the test says so."""

    def __init__(self):
        super().__init__()
        self.inspected, self.logged, self.read_out = queue.SimpleQueue(), queue.SimpleQueue(), threading.Event()

    def call(self, method, path, query=None):
        found = super().call(method, path, query)
        if path != "/containers/json":
            self.inspected.put(path)
        return found

    def read(self, method, path, query=None):
        if path != "/events":
            self.logged.put(query.get("since"))
            assert self.read_out.wait(30)
        return super().read(method, path, query)


def test_all_runs_that_began_while_a_log_was_read_are_read_after_it():
    docker, declared = SlowLog(), threading.Event()
    docker.end(3)
    a_following(docker, declared)
    docker.inspected.get(timeout=30)
    assert docker.logged.get(timeout=30) is None
    for second in ("03", "05"):
        docker.end(4, f"2027-01-15T08:00:{second}Z")
        docker.events.say("start")
        docker.inspected.get(timeout=30)
    docker.events.say("die", exitCode="4")
    docker.inspected.get(timeout=30)  # the second start has been dealt with
    docker.read_out.set()
    assert docker.logged.get(timeout=30) == "1800000003.000000"


class TwoThatEnded:
    """Docker's side with two containers that had ended when they were looked for; logs come when the test says so."""

    ENDED_AT = {"late": "2027-01-15T08:00:09Z", "early": "2027-01-15T08:00:03Z"}

    def __init__(self, began_at):
        self.events, self.began_at = Events(), began_at
        self.logs = {id: threading.Event() for id in self.ENDED_AT}

    def call(self, _method, path, _query=None):
        if path == "/containers/json":
            return [
                {"Id": id, "Names": [f"/p-{id}-1"], "State": "exited", "Labels": self.labels(id)}
                for id in self.ENDED_AT
            ]
        id = path.split("/")[2]
        state = {"Status": "exited", "StartedAt": self.began_at, "FinishedAt": self.ENDED_AT[id], "ExitCode": 3}
        return {"State": state, "Config": {"Labels": self.labels(id)}, "Name": f"/p-{id}-1"}

    def labels(self, id):
        return {**LABELS, "com.docker.compose.service": id}

    def read(self, _method, path, _query=None):
        if path == "/events":
            return self.events
        assert self.logs[path.split("/")[2]].wait(30)
        return Answer(b"a word\n")


@pytest.mark.parametrize("began_at", [STARTED_AT, "2027-01-15T07:00:00Z"], ids=["begun since", "begun before"])
def test_ends_are_told_in_their_order_whichever_is_read_out_first(began_at):
    """Those since we began, also of what ran before: who says that all stops at the first end silences the others."""
    docker, declared = TwoThatEnded(began_at), threading.Event()
    docker.logs["late"].set()
    following, thread, told, said = a_following(docker, declared, {"late", "early"})
    while b"late-1   | a word\n" not in said.getvalue():
        threading.Event().wait(0.001)
    assert told.empty()
    docker.logs["early"].set()
    assert [told.get(timeout=30).name for _ in range(2)] == ["early-1", "late-1"]
    declared.set()
    following.look_again()
    thread.join(30)
    assert not thread.is_alive()
