"""Projects as declared objects on a real cloud: kept true, taken back, and left to whoever has the last word."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import uuid
from pathlib import Path

import pytest

from coracle.compose.loader import Request, load
from coracle.testing.cloud import Cloud

PLUGIN = Path(__file__).parents[2] / ".make/tools/cli-plugins/docker-compose"
QUICK = "stop_signal: SIGKILL"


class Project:
    """A project over Docker's socket, without a command line in between."""

    def __init__(self, cloud, folder):
        self.cloud, self.folder = cloud, folder
        self.name = "p" + uuid.uuid4().hex[:6]

    def file(self, text):
        (self.folder / "compose.yaml").write_text(text)

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(str(self.cloud.docker_socket))
        connection.request(method, path, body and json.dumps(body), {"Connection": "close"})
        return connection.getresponse()

    def ask(self, action, **more):
        """The answer, while it is still being told."""
        loaded = load(Request({}, str(self.folder), project_name=self.name, whole=True))
        project = {"directory": loaded.directory, "files": list(loaded.files), "model": loaded.model}
        return self.request("POST", f"/compose/projects/{self.name}", {"action": action, "project": project, **more})

    def declare(self, action, **more):
        """(what was told, exit code and error)."""
        return told(self.ask(action, **more))

    def up(self, **more):
        said, end = self.declare("up", **more)
        assert end["exit_code"] == 0, (end, said)
        return said

    def declared(self):
        return json.loads(self.request("GET", f"/compose/projects/{self.name}").read()).get("spec")

    def states(self):
        """Container -> (id, state), by the part of its name after the project's."""
        chosen = ("--all", "--no-trunc", "--filter", f"label=com.docker.compose.project={self.name}")
        lines = self.cloud.docker("ps", *chosen, "--format", "{{.Names}} {{.ID}} {{.State}}").stdout.splitlines()
        return {name.removeprefix(f"{self.name}-"): (id, state) for name, id, state in map(str.split, lines)}

    def running(self, *names):
        states = self.states()
        return all(name in states and states[name][1] == "running" for name in names)


def told(answer):
    assert answer.status == 200, answer.read()
    lines = [json.loads(line) for line in answer.read().splitlines()]
    return [f"{line['id']} {line['text']}" for line in lines[:-1]], lines[-1]["end"]


@pytest.fixture
def project(docker, tmp_path):
    docker("pull", "--quiet", "busybox")
    project = Project(docker.cloud, tmp_path)
    yield project
    project.request("POST", f"/compose/projects/{project.name}", {"action": "down", "volumes": True}).read()


APPLICATION = """
services:
  db:
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; sleep 1000 & wait"]
    healthcheck: {test: test -e /ready, interval: 100ms}
    volumes: [data:/data]
  job: {image: busybox, command: "true", depends_on: {db: {condition: service_healthy}}}
  web:
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; sleep 1000 & wait"]
    scale: 2
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
volumes: {data: {}}
"""


def test_what_is_declared_is_kept_true(project, docker):
    project.file(APPLICATION)
    events = Events(project)
    answer = project.ask("up")
    project.cloud.wait_for(lambda: project.running("db-1"))
    assert {name: state for name, (_, state) in project.states().items() if name != "db-1"} == {
        "job-1": "created",
        "web-1": "created",
        "web-2": "created",
    }
    docker("exec", f"{project.name}-db-1", "touch", "/ready")
    said, end = told(answer)
    assert end == {"exit_code": 0, "error": ""}
    assert f"Container {project.name}-db-1 Healthy" in said
    steps = events.until(f"start {project.name}-web-")
    named = [f"{what} {project.name}-{name}" for what, name in (("health_status: healthy", "db-1"), ("start", "job-1"))]
    assert [steps.index(step) for step in named] == sorted(steps.index(step) for step in named)

    before = project.states()
    docker("rm", "--force", f"{project.name}-web-1", f"{project.name}-job-1")  # it ran; the other had ended
    project.cloud.wait_for(lambda: project.running("web-1"))
    after = project.states()
    assert set(after) == {"db-1", "web-1", "web-2"}
    assert after["web-1"][0] != before["web-1"][0]

    project.file(APPLICATION.replace("scale: 2", "scale: 1").replace("sleep 1000", "sleep 999"))
    docker("exec", f"{project.name}-db-1", "sh", "-c", "echo kept > /data/file")
    answer = project.ask("up")

    def is_another(found):
        return found is not None and found[0] != after["db-1"][0] and found[1] == "running"

    project.cloud.wait_for(lambda: is_another(project.states().get("db-1")))
    docker("exec", f"{project.name}-db-1", "touch", "/ready")
    assert told(answer)[1]["exit_code"] == 0
    assert docker("exec", f"{project.name}-db-1", "cat", "/data/file") == "kept"
    changed = project.states()
    assert set(changed) == {"db-1", "web-1", "job-1"}
    assert project.up(services=["db"]) == [f"Container {project.name}-db-1 Running"]
    assert project.states() == changed


class Events:
    """Docker's events of a project, from now on."""

    def __init__(self, project):
        filters = json.dumps({"label": [f"com.docker.compose.project={project.name}"]}).replace('"', "%22")
        self._answer = project.request("GET", f"/events?filters={filters.replace(' ', '')}")

    def until(self, start):
        """The steps up to one that begins so."""
        found = []
        while not found or not found[-1].startswith(start):
            event = json.loads(self._answer.readline())
            found.append(f"{event['Action']} {event['Actor']['Attributes']['name']}")
        self._answer.close()
        return found


def test_what_does_not_work_is_taken_back(project, docker):
    good = f"services:\n  a: {{image: busybox, command: sleep infinity, {QUICK}}}\n"
    bad = good + "  b: {image: busybox, command: nosuchprogram, depends_on: [a], volumes: [d:/d]}\nvolumes: {d: {}}\n"
    project.file(bad)
    _, end = project.declare("up")
    assert end["exit_code"] == 1
    assert "nosuchprogram" in end["error"]
    assert project.states() == {}
    assert project.name not in docker("network", "ls") + docker("volume", "ls")
    assert project.declared() is None

    project.file(good)
    project.up()
    project.file(bad.replace("infinity", "99999"))
    assert project.declare("up")[1]["exit_code"] == 1
    assert set(project.states()) == {"a-1"}
    assert docker.inspect(f"{project.name}-a-1")["Config"]["Cmd"] == ["sleep", "infinity"]
    assert project.running("a-1")
    assert f"{project.name}_d" not in docker("volume", "ls")


REFUSED = {
    "a port that a container has": ("ports: ['127.0.0.1:PORT:80']", "", 409, "port is already allocated (by cont"),
    "a name that a container has": ("container_name: HOLDER", "", 409, 'The container name "/HOLDER" is already'),
    "an image that is not there": ("image: nosuchimage", "", 404, 'service "a": No such image: nosuchimage'),
    "a network that is not there": ("networks: [n]", "networks: {n: {external: true}}", 404, "network n declared as"),
    "a volume that is not there": ("volumes: ['v:/v']", "volumes: {v: {external: true}}", 404, 'volume "v" not found'),
    "a directory that is not there": (
        "volumes: [{type: bind, source: /nowhere, target: /n}]",
        "",
        400,
        "bind source path does not exist: /nowhere",
    ),
    "a port for two": ("scale: 2, ports: ['8099:80']", "", 409, "it cannot be scaled to 2"),
}


def test_what_cannot_be_is_refused_before_anything_is_made(project, docker):
    holder, port = f"holder-{project.name}", 18097
    docker("run", "-d", "--name", holder, "-p", f"127.0.0.1:{port}:80", "busybox", "sleep", "1000")
    for written, more, status, expected in REFUSED.values():
        said, message = (text.replace("PORT", str(port)).replace("HOLDER", holder) for text in (written, expected))
        image = "" if said.startswith("image") else "image: busybox, "
        project.file(f"services: {{good: {{image: busybox}}, a: {{{image}{said}}}}}\n{more}\n")
        answer = project.ask("up")
        words = json.loads(answer.read())["message"]
        assert answer.status == status, words
        assert message in words
        assert project.states() == {}
        assert project.declared() is None


def test_what_others_made_is_used_with_a_warning(project, docker):
    docker("volume", "create", f"mine-{project.name}")
    docker("network", "create", "--label", "com.docker.compose.network=n", f"net-{project.name}")
    project.file(
        f"services: {{a: {{image: busybox, command: sleep infinity, {QUICK}, networks: [n], volumes: ['v:/v']}}}}\n"
        f"networks: {{n: {{name: net-{project.name}}}}}\nvolumes: {{v: {{name: mine-{project.name}}}}}\n"
    )
    said = project.up()
    assert f'volume "mine-{project.name}" already exists but was not created by Docker Compose' in said[1]
    assert f"a network with name net-{project.name} exists but was not created for project" in said[0]
    assert project.running("a-1")
    project.declare("down", volumes=True)
    assert f"mine-{project.name}" in docker("volume", "ls", "--quiet").split()
    docker("network", "rm", f"net-{project.name}")
    docker("network", "create", f"net-{project.name}")
    answer = project.ask("up")
    assert "has incorrect label com.docker.compose.network" in json.loads(answer.read())["message"]


def test_other_clients_have_the_last_word(project, docker, tmp_path):
    project.file(f"services: {{a: {{image: busybox, command: sleep infinity, {QUICK}}}}}\n")
    environment = {**docker.environment, "DOCKER_BUILDKIT": "0"}
    for client in ([str(PLUGIN)], ["docker-compose"]):

        def their(*words, client=client):
            command = [*client, "--project-name", project.name, *words]
            subprocess.run(command, cwd=project.folder, env=environment, check=True, capture_output=True, timeout=60)

        project.up()
        their("ps")
        their("run", "--rm", "a", "true")
        assert project.declared() is not None
        their("stop")
        assert project.declared() is None
        assert project.states()["a-1"][1] == "exited"
        project.request("POST", f"/compose/projects/{project.name}", {"action": "start"}).read()
        assert project.running("a-1")
        assert project.declared() is None  # one word about what is another's
        project.up()
        assert project.declared() is not None
        their("down")
        assert project.states() == {}


def test_it_goes_on_after_the_daemon_was_killed_and_after_the_cloud_was_stopped(tmp_path_factory):
    with Cloud.started(Path(tmp_path_factory.mktemp("projects"))) as cloud:
        cloud.docker("pull", "--quiet", "busybox")
        project = Project(cloud, tmp_path_factory.mktemp("files"))
        project.file(APPLICATION)
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(_cut(project)))
        waiting.start()
        cloud.wait_for(lambda: project.running("db-1"))
        pid = cloud.daemon_pid
        os.kill(pid, signal.SIGKILL)
        waiting.join()
        assert answers == ["cut"]
        cloud.up()
        cloud.docker("exec", f"{project.name}-db-1", "touch", "/ready")
        cloud.wait_for(lambda: project.running("web-1", "web-2"))
        before = project.states()
        assert before["job-1"][1] == "exited"

        os.kill(cloud.daemon_pid, signal.SIGKILL)
        cloud.up()
        assert project.states() == before  # it kept running

        cloud.down()
        cloud.up()
        cloud.wait_for(lambda: project.running("db-1", "web-1", "web-2"))
        assert {name: id for name, (id, _) in project.states().items()} == {n: id for n, (id, _) in before.items()}
        assert project.states()["job-1"][1] == "exited"


def _cut(project):
    """Declare, to be cut off in the middle of it."""
    try:
        return told(project.ask("up"))
    except (http.client.HTTPException, OSError):
        return "cut"
