"""docker events: what is told, in which order, to whom, and from when until when."""

import json
import re
import socket
import time

import pytest


@pytest.fixture(scope="module", autouse=True)
def busybox(cloud):
    cloud.docker("pull", "busybox")


def told(docker, since_s, *filters):
    """The events since a moment, as the CLI gives them."""
    words = [word for one in filters for word in ("--filter", one)]
    until = f"{time.time():.6f}"
    said = docker("events", "--since", f"{since_s:.6f}", "--until", until, "--format", "{{json .}}", *words)
    return [json.loads(line) for line in said.splitlines()]


def actions(docker, since_s, *filters):
    return [event["Action"] for event in told(docker, since_s, *filters)]


def test_a_containers_life_in_order(docker):
    began_s = time.time()
    docker.attempt("run", "--name", "short", "--label", "tier=web", "busybox", "sh", "-c", "exit 3")
    docker("rm", "short")
    events = told(docker, began_s, "container=short")
    assert [event["Action"] for event in events] == ["create", "attach", "start", "die", "destroy"]
    die = events[3]
    assert re.fullmatch("[0-9a-f]{64}", die["Actor"]["ID"])
    attributes = die["Actor"]["Attributes"]
    assert attributes.pop("execDuration").isdigit()  # whole seconds
    assert attributes == {"image": "busybox", "name": "short", "tier": "web", "exitCode": "3"}
    assert (die["Type"], die["scope"], die["status"], die["from"]) == ("container", "local", "die", "busybox")
    assert die["id"] == die["Actor"]["ID"]
    assert die["timeNano"] // 10**9 == die["time"]
    assert [event["timeNano"] for event in events] == sorted({event["timeNano"] for event in events})


def test_what_a_user_does_comes_after_what_it_causes(docker):
    docker(
        "run", "--detach", "--name", "busy", "--label", "is=busy", "--stop-signal", "KILL", "busybox", "sleep", "100"
    )
    began_s = time.time()
    docker("pause", "busy")
    docker("unpause", "busy")
    docker("exec", "busy", "true")
    docker("rename", "busy", "busier")
    docker("stop", "busier")
    found = [action.split(":")[0] for action in actions(docker, began_s, "type=container", "label=is=busy")]
    assert found == ["pause", "unpause", "exec_create", "exec_start", "exec_die", "rename", "kill", "die", "stop"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["event=die"], ["die"]),
        (["event=create", "event=die"], ["create", "die"]),
        (["label=tier"], ["create", "attach", "start", "die"]),
        (["label=tier=web"], ["create", "attach", "start", "die"]),
        (["label=tier=db"], []),
        (["image=busybox"], ["create", "attach", "start", "die"]),
        (["image=nginx"], []),
        (["type=network"], []),
        (["scope=swarm"], []),
        (["type=container", "type=image", "event=start"], ["start"]),
    ],
)
def test_filters(docker, filters, expected):
    began_s = time.time()
    docker("run", "--name", "filtered", "--label", "tier=web", "busybox", "true")
    assert actions(docker, began_s, "container=filtered", *filters) == expected


def test_an_id_may_be_shortened(docker):
    began_s = time.time()
    id = docker("create", "busybox", "true")
    assert actions(docker, began_s, f"container={id[:12]}") == ["create"]


class Listener:
    """GET /events on a connection of our own."""

    def __init__(self, docker, query=""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(docker.socket))
        self.socket.sendall(f"GET /events?{query} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def next(self):
        return json.loads(self.file.readline())

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def test_headers_come_at_once_and_each_event_when_it_happens(docker):
    with Listener(docker, 'filters={"type":["container"],"label":["at-once"]}') as listener:
        assert listener.status == 200
        id = docker("create", "--label", "at-once", "busybox", "true")
        assert listener.next()["Actor"]["ID"] == id


def test_until_a_moment_that_is_past_or_to_come_it_ends(docker):
    for until_s in (time.time() - 5, time.time() + 0.3):
        with Listener(docker, f'until={until_s}&filters={{"label":["nobody-has-this"]}}') as listener:
            assert listener.file.read() == b""
        assert time.time() >= until_s


@pytest.mark.parametrize(
    "query",
    [
        "since=now",
        "until=1e5",
        "since=20&until=10",
        "filters=[]",
        "filters={",
        'filters={"no-such":["x"]}',
        'filters={"type":1}',
    ],
)
def test_what_makes_no_sense_is_refused(docker, query):
    with Listener(docker, query) as listener:
        assert listener.status == 400
        assert listener.next()["message"]


def test_a_thousand_who_listen_cost_little(docker):
    def cpu_ticks():
        with open(f"/proc/{docker.cloud.daemon_pid}/stat") as file:
            return sum(int(word) for word in file.read().rpartition(")")[2].split()[11:13])

    listeners = [Listener(docker, 'filters={"type":["container"]}') for _ in range(1000)]
    before = cpu_ticks()
    id = docker("create", "busybox", "true")
    assert {listener.next()["Actor"]["ID"] for listener in listeners} == {id}
    assert cpu_ticks() - before < 100  # hundredths of a second
    for listener in listeners:
        listener.close()


def test_pods_containers_are_told_of_as_well(docker, space):
    began_s = time.time()
    space.kubectl("run", "one", "--image=busybox", "--restart=Never", "--", "true")
    space.wait_for(lambda: space.json("get", "pod", "one")["status"]["phase"] == "Succeeded")
    events = told(docker, began_s, "label=io.kubernetes.pod.name=one")
    assert [event["Action"] for event in events][:3] == ["create", "start", "die"]


def test_networks_and_volumes_are_told_of(docker):
    began_s = time.time()
    docker("volume", "create", "kept")
    docker("volume", "rm", "kept")
    assert actions(docker, began_s, "type=volume", "volume=kept") == ["create", "destroy"]
