"""Three Compose clients, one behaviour of every file: Compose v2, Debian's 1.29.2, and our own."""

import json
import re
import shutil
import signal
import threading
import urllib.request

import pytest

from contract.composing import CLIENTS, ROOT, played


@pytest.fixture(params=CLIENTS)
def compose(request, docker, tmp_path):
    yield from played(docker, request.param, tmp_path)


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def page():
    try:
        return urllib.request.urlopen("http://127.0.0.1:5000/", timeout=5).read().decode()
    except OSError:
        return ""


def test_the_lectures_application(compose, docker):
    """Everything that the slide lists."""
    shutil.copytree(ROOT / "examples/compose-lecture", compose.folder, dirs_exist_ok=True)
    compose("up", "--detach")
    assert docker.wait_for(page) == "Hello! This page has been seen 1 times.\n"
    shown = compose("ps")
    assert "0.0.0.0:5000->5000/tcp" in shown
    assert "redis-server" in shown or "docker-entrypoint.s" in shown

    def logged(pattern):
        return re.search(pattern, plain(compose("logs")), re.MULTILINE)

    docker.wait_for(lambda: logged(r"^web[-_]1 +\| .*Running on http://0.0.0.0:5000/"))
    docker.wait_for(lambda: logged(r"^redis[-_]1 +\| .*Ready to accept connections"))
    assert compose("exec", "-T", "web", "cat", "/var/log/visits.log").endswith(" 1\n")
    assert "PATH=" in compose("run", "--rm", "web", "env")
    compose("stop")
    assert not compose.ids("web")
    compose("start")
    docker.wait_for(page)
    started = compose.inspect("web")["State"]["StartedAt"]
    compose("restart")
    assert compose.inspect("web")["State"]["StartedAt"] > started
    before = compose.ids("redis"), compose.ids("web")
    app = compose.folder / "app.py"
    app.write_text(app.read_text().replace("seen", "viewed"))
    compose("up", "--detach", "--build")
    assert "viewed" in docker.wait_for(page)
    assert compose.ids("redis") == before[0]
    assert compose.ids("web") != before[1]
    compose("down", "--volumes")
    assert compose.left() == []


TWO_VOICES = """
services:
  low: {image: busybox, command: "sh -c 'echo from low; echo beneath >&2'"}
  high: {image: busybox, command: "echo from high"}
"""


def test_up_merges_and_colours_the_output(compose):
    compose.file(TWO_VOICES)
    options = ["--ansi", "always"]
    compose.words += options
    compose.environment = {name: value for name, value in compose.environment.items() if name != "NO_COLOR"}
    done = compose.attempt("up")
    said = done.stdout + done.stderr
    lines = {line.strip() for line in plain(said).splitlines()}
    separated = {tuple(part.strip() for part in line.split("|", 1)) for line in lines if "|" in line}
    ends = [("low", "from low"), ("low", "beneath"), ("high", "from high")]
    for service, text in ends:
        assert any(name.startswith(service) and text == heard for name, heard in separated), said
    assert "\x1b[3" in said


SLEEPERS = """
services:
  one: {image: busybox, init: true, command: "sh -c 'echo one is up; exec sleep 1000'"}
  two: {image: busybox, init: true, command: "sh -c 'echo two is up; exec sleep 1000'"}
"""


def test_an_interrupt_stops_the_application(compose):
    compose.file(SLEEPERS)
    running = compose.popen("up")
    heard = ""
    while not ("one is up" in heard and "two is up" in heard):
        line = running.stdout.readline()
        assert line, heard
        heard += line
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=60)
    assert "top" in rest  # Gracefully stopping..., Stopping ...
    assert not compose.ids("one")
    assert not compose.ids("two")
    assert len(compose.ids("one", "--all")) == 1


def test_only_what_differs_is_made_again(compose):
    compose.file(SLEEPERS)
    compose("up", "--detach")
    one, two = compose.ids("one"), compose.ids("two")
    compose("up", "--detach")
    assert (compose.ids("one"), compose.ids("two")) == (one, two)
    compose.file(SLEEPERS.replace("one: {", "one: {environment: {NEW: thing}, "))
    compose("up", "--detach")
    assert compose.ids("two") == two
    assert compose.ids("one") != one
    assert "NEW=thing" in compose.inspect("one")["Config"]["Env"]
    compose.file("services:\n" + SLEEPERS.splitlines()[2])
    compose("up", "--detach", "--remove-orphans")
    assert not compose.ids("two", "--all")


def test_scales_up_and_down(compose):
    compose.file(SLEEPERS)
    compose("up", "--detach", "--scale", "one=3")
    assert (len(compose.ids("one")), len(compose.ids("two"))) == (3, 1)
    said = compose("exec", "-T", "--index", "3", "one", "hostname")
    assert said.strip() in {id[:12] for id in compose.ids("one")}
    compose("up", "--detach", "--scale", "one=1")
    assert len(compose.ids("one", "--all")) == 1


HEALTHY = """
services:
  db:
    image: busybox
    init: true
    command: sh -c 'sleep 0.5; touch /ready; exec sleep 1000'
    healthcheck: {test: "test -e /ready", interval: 30s}
  first:
    image: busybox
    command: "true"
  web:
    image: busybox
    init: true
    command: sleep 1000
    depends_on:
      db: {condition: service_healthy}
      first: {condition: service_completed_successfully}
"""


def test_waits_for_health_without_waiting_an_interval(compose):
    """Asked every 30 s, but more often as long as it is starting."""
    compose.file(HEALTHY)
    compose("up", "--detach")
    db, web = compose.inspect("db"), compose.inspect("web")
    assert db["State"]["Health"]["Status"] == "healthy"
    assert db["State"]["Health"]["Log"][-1]["End"] < web["State"]["StartedAt"]
    assert compose.inspect("first")["State"]["FinishedAt"] < web["State"]["StartedAt"]
    assert "(healthy)" in compose("ps")


def test_says_which_dependency_failed(compose):
    compose.file(HEALTHY.replace('"true"', '"false"'))
    done = compose.attempt("up", "--detach")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert ("didn't complete successfully: exit 1" if compose.client != "v1" else "exited with code 1") in said
    assert not compose.ids("web")


NETWORKED = """
services:
  server:
    image: busybox
    init: true
    command: sleep 1000
    networks:
      back: {aliases: [store, keeper], ipv4_address: 10.213.7.9}
    volumes: ["data:/data"]
  client:
    image: busybox
    init: true
    command: sleep 1000
    networks: [back, front]
    volumes: ["data:/data:ro", "./here:/here"]
    tmpfs: /scratch
  outside:
    image: busybox
    init: true
    command: sleep 1000
    networks: [front]
networks:
  front: {}
  back:
    internal: true
    ipam: {config: [{subnet: 10.213.7.0/24}]}
volumes:
  data: {}
"""


def test_networks_and_volumes(compose):
    (compose.folder / "here").mkdir()
    (compose.folder / "here/note").write_text("from the host\n")
    compose.file(NETWORKED)
    compose("up", "--detach")
    for name in ("server", "store", "keeper"):
        assert "10.213.7.9" in compose("exec", "-T", "client", "nslookup", name)
        assert compose.attempt("exec", "-T", "outside", "nslookup", name).returncode != 0
    compose("exec", "-T", "server", "sh", "-c", "echo kept > /data/file")
    assert compose("exec", "-T", "client", "cat", "/data/file", "/here/note") == "kept\nfrom the host\n"
    assert compose.attempt("exec", "-T", "client", "touch", "/data/x").returncode == 1
    compose("down", "--timeout", "1")
    assert len(compose.left()) == 1  # the volume
    compose("up", "--detach")
    assert compose("exec", "-T", "server", "cat", "/data/file") == "kept\n"
    compose("down", "--volumes", "--timeout", "1")
    assert compose.left() == []


def test_exit_codes(compose):
    compose.file("services: {short: {image: busybox, command: \"sh -c 'exit 3'\"}}")
    assert compose.attempt("up", "--abort-on-container-exit", "--exit-code-from", "short").returncode == 3
    assert compose.attempt("run", "--rm", "short", "sh", "-c", "exit 5").returncode == 5
    assert compose.attempt("run", "--rm", "-T", "--entrypoint", "cat", "short", "/none").returncode == 1
    assert len(compose.ids("short", "--all")) == 1


def test_a_port_that_is_taken(compose, docker):
    docker("run", "-d", "--name", f"holder-{compose.project}", "-p", "28155:80", "busybox", "sleep", "100")
    compose.file('services: {late: {image: busybox, command: sleep 100, ports: ["28155:80"]}}')
    done = compose.attempt("up", "--detach")
    assert done.returncode == 1
    assert "port is already allocated" in done.stdout + done.stderr
    assert not compose.ids("late")


def test_an_image_that_is_nowhere(compose):
    compose.file("services: {lost: {image: nobody/nothing}}")
    done = compose.attempt("up", "--detach")
    assert done.returncode == (1 if compose.client == "v1" else 18)
    assert "pull access denied for nobody/nothing" in done.stdout + done.stderr
    assert not compose.ids("lost", "--all")


def test_a_build_that_fails(compose):
    (compose.folder / "Dockerfile").write_text("FROM busybox\nRUN exit 9\n")
    compose.file("services: {broken: {build: .}}")
    done = compose.attempt("up", "--detach")
    assert done.returncode != 0
    assert "returned a non-zero code: 9" in done.stdout + done.stderr
    assert not compose.ids("broken", "--all")


only_v2 = pytest.mark.parametrize("compose", ["v2"], indirect=True)
not_v1 = pytest.mark.parametrize("compose", ["v2", "ours"], indirect=True)


@not_v1
def test_what_v1_has_not(compose, docker):
    compose.file(HEALTHY)
    compose("up", "--wait", "db", "web")
    assert f"{compose.project} " in compose("ls")
    rows = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
    assert {row["Service"]: row["Health"] for row in rows} == {"db": "healthy", "web": ""}
    (compose.folder / "f").write_text("carried\n")
    compose("cp", "f", "web:/tmp/f")
    compose("cp", "web:/tmp/f", "back")
    assert (compose.folder / "back").read_text() == "carried\n"
    assert "PIDS" in compose("stats", "--no-stream")
    compose("pause", "web")
    assert compose.inspect("web")["State"]["Paused"]
    compose("unpause", "web")
    events = compose.popen("events", "--json")
    lines = []
    reading = threading.Thread(target=lambda: lines.extend(iter(events.stdout.readline, "")), daemon=True)
    reading.start()

    def heard():
        """It listens a while after it was started."""
        compose("pause", "web")
        compose("unpause", "web")
        return lines

    docker.wait_for(heard)
    compose("kill", "web")

    def died():
        return [event for event in map(json.loads, lines) if event["action"] == "die"]

    assert {event["service"] for event in docker.wait_for(died)} == {"web"}
    events.terminate()
    reading.join(timeout=30)
    events.communicate(timeout=30)


@only_v2
def test_a_build_through_buildkit_says_what_to_do(compose):
    (compose.folder / "Dockerfile").write_text("FROM busybox\n")
    compose.file("services: {one: {build: .}}")
    done = compose.attempt("build", DOCKER_BUILDKIT="")
    assert done.returncode != 0
    assert "DOCKER_BUILDKIT=0" in done.stdout + done.stderr
    assert "export DOCKER_BUILDKIT=0\n" in compose.docker.cloud.coracle("env").stdout
